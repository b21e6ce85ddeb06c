"""The operating modes of the service, and how long an operator may override a setpoint."""

from enum import StrEnum

LONGEST_OVERRIDE_S = 3600.0


class Mode(StrEnum):
    """OFF connects to no device, MONITOR reads and decides but cannot write, ACTIVE controls."""

    OFF = "off"
    MONITOR = "monitor"
    ACTIVE = "active"

    def allows(self, other: "Mode") -> bool:
        """Whether ``other`` is no more than this mode: OFF < MONITOR < ACTIVE."""
        order = tuple(Mode)
        return order.index(other) <= order.index(self)

    def at_most(self, other: "Mode") -> "Mode":
        """The lower one of the two."""
        return self if other.allows(self) else other
