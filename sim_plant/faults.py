"""Faults that are the device's own, by name; those of the network belong to a proxy between plant and controller."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import inf, nan

from core.errors import GridlabError
from sim_plant.converter import Inputs, Mode

Values = Mapping[str, float | None]
"""What a device says, by canonical name in engineering units; None is "not available"."""

MEASURED = ("p_kw", "q_kvar", "v_v", "i_a")


class DeviceFault(StrEnum):
    """What can be wrong with a device. Some take a number: ``wrong_scale`` a factor, ``derated`` kVA.

    frozen: data and clock stand, writes are acknowledged and lost; the lease timer runs on. stuck: the output stays
    where it is. reboot: off while it lasts, then without memory.
    """

    FROZEN = "frozen"
    LOCAL = "local"
    IGNORE_WRITES = "ignore_writes"
    REBOOT = "reboot"
    TRIP = "trip"
    STUCK = "stuck"
    DERATED = "derated"
    SENTINEL = "sentinel"
    NAN = "nan"
    BYTE_SWAP = "byte_swap"
    WRONG_SCALE = "wrong_scale"
    INVERTED_SIGN = "inverted_sign"


METER_FAULTS = (
    DeviceFault.FROZEN,
    DeviceFault.SENTINEL,
    DeviceFault.NAN,
    DeviceFault.BYTE_SWAP,
    DeviceFault.WRONG_SCALE,
    DeviceFault.INVERTED_SIGN,
)


class FaultError(GridlabError):
    """A fault that this device cannot have."""


_DEFAULTS = {DeviceFault.WRONG_SCALE: 10.0, DeviceFault.DERATED: 5.0}
_PANEL = {DeviceFault.REBOOT: Mode.OFF, DeviceFault.TRIP: Mode.FAULT, DeviceFault.LOCAL: Mode.LOCAL}


@dataclass(frozen=True)
class Faults:
    """The faults that a device has just now, each with its number."""

    active: Mapping[DeviceFault, float]

    def switched(self, fault: DeviceFault, *, on: bool, number: float | None = None) -> "Faults":
        """With one fault more, or less."""
        others = {f: n for f, n in self.active.items() if f is not fault}
        worth = _DEFAULTS.get(fault, 0.0) if number is None else number
        return Faults({**others, fault: worth} if on else others)

    def __contains__(self, fault: object) -> bool:
        return fault in self.active

    @property
    def loses_writes(self) -> bool:
        """Whether writes are acknowledged without effect."""
        return DeviceFault.FROZEN in self or DeviceFault.IGNORE_WRITES in self

    @cached_property
    def inputs(self) -> Inputs:
        """What the faults do to the physics; power off goes before a trip, and that before the panel."""
        panel = next((mode for fault, mode in _PANEL.items() if fault in self), None)
        return Inputs(panel, DeviceFault.STUCK in self, self.active.get(DeviceFault.DERATED, inf))

    def distort(self, values: Values) -> Values:
        """What the device says in place of ``values``."""
        if not self.active:
            return values
        measured = {name: values[name] for name in MEASURED if name in values}
        if DeviceFault.SENTINEL in self:
            return {**values, **dict.fromkeys(measured)}
        if DeviceFault.NAN in self:
            return {**values, **dict.fromkeys(measured, nan)}
        factor = self.active.get(DeviceFault.WRONG_SCALE, 1.0)
        signs = {"p_kw": -1.0, "q_kvar": -1.0} if DeviceFault.INVERTED_SIGN in self else {}
        scaled = {k: v if v is None else v * factor * signs.get(k, 1.0) for k, v in measured.items()}
        return {**values, **scaled}


NO_FAULTS = Faults({})
