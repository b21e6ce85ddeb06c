"""Faults of a device itself, by name; ``link_faults`` has those of its communication link."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import inf, isfinite, nan

from core.errors import GridlabError
from sim_plant.converter import ControlState, Inputs

Values = Mapping[str, float | None]
"""Values that a device reports, by canonical name in engineering units; None means "not available"."""

MEASURED = ("p_kw", "q_kvar", "v_v", "i_a")


class DeviceFault(StrEnum):
    """Faults of a device.

    frozen: data and clock stand still, writes are acknowledged and lost; the lease timer runs on. stuck: the output
    stays constant. reboot: off while it lasts, then without memory. foreign_write: another client also commands the
    converter, with its own epoch. clock_stands, clock_jumps: affect the device's clock only; its data are right.
    voltage_scale, voltage_frozen: affect the voltage only, and the clock runs. swapped: a meter measures another node.
    plain_epochs: the firmware of another maker, which refuses the lower of two epochs, also in a release.
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
    FOREIGN_WRITE = "foreign_write"
    CLOCK_STANDS = "clock_stands"
    CLOCK_JUMPS = "clock_jumps"
    VOLTAGE_SCALE = "voltage_scale"
    VOLTAGE_FROZEN = "voltage_frozen"
    SWAPPED = "swapped"
    PLAIN_EPOCHS = "plain_epochs"


CONVERTER_FAULTS = tuple(fault for fault in DeviceFault if fault is not DeviceFault.SWAPPED)
OPCUA_FAULTS = tuple(fault for fault in CONVERTER_FAULTS if fault is not DeviceFault.BYTE_SWAP)
"""Faults of a converter whose values are not register words."""
METER_FAULTS = (
    DeviceFault.FROZEN,
    DeviceFault.SENTINEL,
    DeviceFault.NAN,
    DeviceFault.BYTE_SWAP,
    DeviceFault.WRONG_SCALE,
    DeviceFault.INVERTED_SIGN,
    DeviceFault.CLOCK_STANDS,
    DeviceFault.CLOCK_JUMPS,
    DeviceFault.VOLTAGE_SCALE,
    DeviceFault.VOLTAGE_FROZEN,
    DeviceFault.SWAPPED,
)


class FaultError(GridlabError):
    """A fault, or a number of it, that this device cannot have."""


_DEFAULTS = {
    DeviceFault.WRONG_SCALE: 10.0,
    DeviceFault.DERATED: 5.0,
    DeviceFault.CLOCK_JUMPS: 3600.0,
    DeviceFault.VOLTAGE_SCALE: 1.03,
}
_NUMBERS = {
    DeviceFault.WRONG_SCALE: "a factor > 0",
    DeviceFault.DERATED: "a number > 0 kVA",
    DeviceFault.CLOCK_JUMPS: "a number of s",
    DeviceFault.FOREIGN_WRITE: "an epoch 0 … 65535",
    DeviceFault.VOLTAGE_SCALE: "a factor > 0",
    DeviceFault.SWAPPED: "the position of a node, from 1",
}
_PANEL = {
    DeviceFault.REBOOT: ControlState.OFF,
    DeviceFault.TRIP: ControlState.FAULT,
    DeviceFault.LOCAL: ControlState.LOCAL,
}


@dataclass(frozen=True)
class Faults:
    """The active faults of a device, each with its number."""

    active: Mapping[DeviceFault, float]

    def switched(self, fault: DeviceFault, *, on: bool, number: float | None = None) -> "Faults":
        """These faults with ``fault`` added or removed; without a number it gets the default one."""
        others = {f: n for f, n in self.active.items() if f is not fault}
        value = _DEFAULTS.get(fault, 0.0) if number is None else number
        return Faults({**others, fault: value} if on else others)

    def __contains__(self, fault: object) -> bool:
        return fault in self.active

    @property
    def loses_writes(self) -> bool:
        """Whether writes are acknowledged without effect."""
        return DeviceFault.FROZEN in self or DeviceFault.IGNORE_WRITES in self

    @cached_property
    def inputs(self) -> Inputs:
        """Effect of the faults on the physics. Power off takes precedence over a trip, and a trip over the panel."""
        panel = next((mode for fault, mode in _PANEL.items() if fault in self), None)
        derated_kva, plain_epochs = self.active.get(DeviceFault.DERATED, inf), DeviceFault.PLAIN_EPOCHS in self
        return Inputs(panel, DeviceFault.STUCK in self, derated_kva, plain_epochs)

    def distort(self, values: Values) -> Values:
        """The values as the device reports them."""
        return {**values, **self._measured(values), **self._clock(values)} if self.active else values

    def _clock(self, values: Values) -> Values:
        """The number of ``clock_stands`` is the time at which the clock stopped."""
        clock_s = self.active.get(DeviceFault.CLOCK_STANDS, values["clock_s"])
        return {"clock_s": (clock_s or 0.0) + self.active.get(DeviceFault.CLOCK_JUMPS, 0.0)}

    def _measured(self, values: Values) -> Values:
        measured = {name: values[name] for name in MEASURED if name in values}
        if DeviceFault.SENTINEL in self:
            return dict.fromkeys(measured)
        if DeviceFault.NAN in self:
            return dict.fromkeys(measured, nan)
        factor = self.active.get(DeviceFault.WRONG_SCALE, 1.0)
        signs = {"p_kw": -1.0, "q_kvar": -1.0} if DeviceFault.INVERTED_SIGN in self else {}
        measured = {k: v if v is None else v * factor * signs.get(k, 1.0) for k, v in measured.items()}
        return {**measured, **self._voltage(measured)}

    def _voltage(self, measured: Values) -> Values:
        """The number of ``voltage_frozen`` is the voltage that stands."""
        v_v = self.active.get(DeviceFault.VOLTAGE_FROZEN, measured.get("v_v"))
        return {} if v_v is None else {"v_v": v_v * self.active.get(DeviceFault.VOLTAGE_SCALE, 1.0)}


NO_FAULTS = Faults({})


def check_number(device: str, fault: DeviceFault, number: float) -> None:
    """Check that the fault can have this number.

    Raises:
        FaultError: it cannot.
    """
    match fault:
        case DeviceFault.WRONG_SCALE | DeviceFault.DERATED | DeviceFault.VOLTAGE_SCALE:
            allowed = 0 < number < inf
        case DeviceFault.SWAPPED:
            allowed = number >= 1 and float(number).is_integer()
        case DeviceFault.CLOCK_JUMPS:
            allowed = isfinite(number)
        case _:
            allowed = fault in _NUMBERS and number in range(2**16)
    if not allowed:
        raise FaultError(f"{device}: asked fault {fault} with {number}, allowed {_NUMBERS.get(fault, 'no number')}")
