"""What the service may do, and for how long an operator may do otherwise."""

from enum import StrEnum

LONGEST_OVERRIDE_S = 3600.0


class Mode(StrEnum):
    """OFF talks to no device, MONITOR reads and decides but cannot write, ACTIVE controls."""

    OFF = "off"
    MONITOR = "monitor"
    ACTIVE = "active"
