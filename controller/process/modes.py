"""The operating modes of the service, and how long an operator may override a setpoint."""

from enum import StrEnum

LONGEST_OVERRIDE_S = 3600.0


class Mode(StrEnum):
    """OFF connects to no device, MONITOR reads and decides but cannot write, ACTIVE controls."""

    OFF = "off"
    MONITOR = "monitor"
    ACTIVE = "active"
