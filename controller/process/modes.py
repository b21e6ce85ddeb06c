"""What the service may do."""

from enum import StrEnum


class Mode(StrEnum):
    """OFF talks to no device, MONITOR reads and decides but cannot write, ACTIVE controls."""

    OFF = "off"
    MONITOR = "monitor"
    ACTIVE = "active"
