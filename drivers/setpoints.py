"""Checks of a setpoint before it is sent, and of the device afterwards."""

from collections.abc import Mapping
from math import hypot, isfinite

from core.devices import Setpoint
from core.errors import GridlabError
from drivers.readings import Values

ROUNDING = 1e-6
"""Share of the rating by which a setpoint on the circle may exceed it."""
RESOLUTION = 1e-3
"""Share of the rating to which a device may round a setpoint."""
LEASE_SLACK_S = 4.0
"""Longest time between a write and its read-back. The lease of the write before is older by 5 s or more, and some
devices round to seconds: so a lease proves that the write was executed even if the setpoint is unchanged.
"""


class SetpointRangeError(GridlabError):
    """A setpoint that must not be sent to a converter; the message names it and what is allowed, with units."""


def check_setpoint(device: str, setpoint: Setpoint, s_max_kva: float) -> None:
    """Refuse setpoints that no converter may be sent; finite comes first, as no comparison catches NaN.

    Raises:
        SetpointRangeError: not finite, outside the capability circle, or without a lease.
    """
    if not all(isfinite(value) for value in (setpoint.p_kw, setpoint.q_kvar, setpoint.lease_s)):
        raise SetpointRangeError(f"{device}: asked {setpoint}, allowed finite numbers of kW, kvar and s")
    if (s_kva := hypot(setpoint.p_kw, setpoint.q_kvar)) > s_max_kva * (1 + ROUNDING):
        asked = f"{setpoint.p_kw:g} kW and {setpoint.q_kvar:g} kvar, {s_kva:g} kVA"
        raise SetpointRangeError(f"{device}: asked {asked}, allowed 0 … {s_max_kva:g} kVA")
    if setpoint.lease_s <= 0:
        raise SetpointRangeError(f"{device}: asked a lease of {setpoint.lease_s:g} s, allowed > 0 s")


def setpoint_held(asked: Mapping[str, float], held: Values, s_max_kva: float) -> bool:
    """Whether the device holds every requested value, by name, within tolerances."""
    return all(_near(name, value, held.get(name), s_max_kva) for name, value in asked.items())


def _near(name: str, asked: float, held: float | None, s_max_kva: float) -> bool:
    if held is None:
        return False
    if name.endswith("lease_s"):
        return asked - LEASE_SLACK_S <= held <= asked + 1
    tolerance = RESOLUTION * s_max_kva if name.endswith(("_kw", "_kvar")) else 0.0
    return abs(asked - held) <= tolerance
