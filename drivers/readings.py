"""Checks of raw values, and their conversion to measurements and to the status of a converter."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import hypot, inf

from core.devices import ConverterStatus, Measurement, OperatingState, Quality
from core.time import Clock
from drivers.device_clock import DeviceClock

Values = Mapping[str, float | None]

MEASURED = ("p_kw", "q_kvar", "v_v", "i_a", "clock_s")
V_BAND_PU = (0.5, 1.5)
OVERLOAD = 1.5
"""A voltage outside the band, or a power beyond this multiple of a converter's rating, is a transmission error."""


@dataclass(frozen=True)
class ReadingCheck:
    """Checks the raw values of ``device``.

    ``voltage_v`` is the line-to-line voltage of 1 p.u., ``s_max_kva`` a converter's rating. The device's clock is
    compared with that of earlier readings, so every reading must be checked exactly once.
    """

    device: str
    voltage_v: float
    clock: Clock
    s_max_kva: float = inf
    device_clock: DeviceClock = field(default_factory=DeviceClock, compare=False)

    def measurement(self, values: Values, quality: Quality) -> Measurement:
        """The values as a measurement; a value that is not available is None."""
        v_v = values.get("v_v")
        return Measurement(
            device=self.device,
            p_kw=values.get("p_kw"),
            q_kvar=values.get("q_kvar"),
            v_pu=None if v_v is None else v_v / self.voltage_v,
            i_a=values.get("i_a"),
            taken_at=_instant(values.get("clock_s")),
            received_s=self.clock.monotonic_s(),
            quality=quality,
        )

    def failed(self) -> Measurement:
        """The measurement of a reading that failed."""
        return self.measurement({}, Quality.INVALID)

    def problems(self, values: Values) -> Iterator[tuple[str, str]]:
        """Name and description of every problem that makes the measurement invalid."""
        wrong = dict(self._implausible(values))
        yield from wrong.items()
        clock_s = None if wrong else values.get("clock_s")
        if clock_s is not None and (jump := self.device_clock.jump(clock_s, self.clock.monotonic_s())):
            yield "clock_s", jump

    def _implausible(self, values: Values) -> Iterator[tuple[str, str]]:
        for name in MEASURED:
            if name in values and values[name] is None:
                yield name, "not available"
        p_kw, q_kvar, v_v = (values.get(name) for name in ("p_kw", "q_kvar", "v_v"))
        low, high = (self.voltage_v * v_pu for v_pu in V_BAND_PU)
        if v_v is not None and not low <= v_v <= high:
            yield "v_v", f"{v_v:g} V, plausible {low:g} … {high:g} V"
        if p_kw is not None and q_kvar is not None and hypot(p_kw, q_kvar) > OVERLOAD * self.s_max_kva:
            yield "p_kw", f"{hypot(p_kw, q_kvar):g} kVA, plausible up to {OVERLOAD * self.s_max_kva:g} kVA"
        if values.get("clock_s") is not None and _instant(values["clock_s"]) is None:
            yield "clock_s", f"{values['clock_s']:g} s, no date"


def converter_status(values: Values) -> ConverterStatus:
    """The status that a converter reports in its registers."""
    state, epoch = values.get("state"), values.get("writer_epoch")
    return ConverterStatus(
        state=OperatingState(int(state)) if state in tuple(OperatingState) else None,
        s_max_kva=values.get("s_max_kva"),
        p_setpoint_kw=values.get("p_setpoint_kw"),
        q_setpoint_kvar=values.get("q_setpoint_kvar"),
        writer_epoch=None if epoch is None else int(epoch),
        lease_s=values.get("lease_s"),
    )


def _instant(clock_s: float | None) -> datetime | None:
    try:
        return None if clock_s is None else datetime.fromtimestamp(clock_s, UTC)
    except (OverflowError, ValueError, OSError):
        return None
