"""``gridlab check --probe``: reads every device a few times and lists its problems. It cannot write.

Devices behind one address are read in sequence, so that a latency is the device's own; addresses are read concurrently.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from controller.accounts.grid_check import GridCheck, simultaneous
from controller.accounts.model_check import ModelCheck
from controller.service.meters import meter_places, without_voltage
from core.config import Config
from core.config_devices import Device, ModbusMeter, OpcUaConverter
from core.devices import ConverterStatus, Measurement, OperatingState, Quality
from core.time import Clock
from drivers import exchange
from drivers.factory import ConnectedDevices, DriverSettings, connect
from realtime.meters import MeterCheck, MeterVerdict

PAUSE_S = 1.1
"""Pause between two readings: the clock of a device must have advanced, and the pause after a failure must be over."""
CLOCK_OFF_S = 5.0
"""A larger difference between a device's clock and ours is reported; control itself does not use the device's clock."""
DERATED = 0.99
"""A converter below this share of its configured rating counts as derated."""

_SITUATIONS = {
    OperatingState.OFF: "is off",
    OperatingState.LOCAL: "is operated at its panel (LOCAL)",
    OperatingState.FAULT: "is in fault",
}


@dataclass(frozen=True)
class ProbeReading:
    """One reading of a device. ``clock_age_s``: our clock minus the device's; None if it has no clock."""

    measurement: Measurement
    status: ConverterStatus | None
    latency_ms: float
    clock_age_s: float | None

    @property
    def answered(self) -> bool:
        """Whether any value was returned, valid or not."""
        reading = self.measurement
        return any(
            value is not None for value in (reading.p_kw, reading.q_kvar, reading.v_pu, reading.taken_at, self.status)
        )


@dataclass(frozen=True)
class DeviceReport:
    """Readings of a device; ``problems`` are complete phrases, none if all is well."""

    device: Device
    readings: tuple[ProbeReading, ...]
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name in the configuration."""
        return self.device.name

    @property
    def address(self) -> str:
        """Address with the Modbus unit."""
        device = self.device
        if isinstance(device, OpcUaConverter):
            return device.url
        return f"{device.host}:{device.port} unit {device.unit}"

    @property
    def answered(self) -> bool:
        """Whether any reading was answered."""
        return any(reading.answered for reading in self.readings)

    @property
    def last(self) -> ProbeReading:
        """The last reading that was answered, else the last one."""
        return next((reading for reading in reversed(self.readings) if reading.answered), self.readings[-1])

    @property
    def latency_ms(self) -> float | None:
        """Median over the readings that were answered."""
        times = [reading.latency_ms for reading in self.readings if reading.answered]
        return median(times) if times else None


@dataclass(frozen=True)
class MeterReport:
    """Meters that are not believed.

    Attributes:
        compared: whether the readings sufficed for any comparison.
        problems: complete phrases, by device.
        undecided: devices whose voltages contradict each other, while nobody can tell which of them is wrong.
        unclear: pairs of meters that may be exchanged: at this load it would not show.
    """

    compared: bool
    problems: Mapping[str, str]
    undecided: tuple[str, ...]
    unclear: tuple[tuple[str, str], ...]


async def probe(config: Config, config_path: Path, clock: Clock, reads: int = 3) -> tuple[DeviceReport, ...]:
    """Read every device ``reads`` times (at least once), in the order of the configuration.

    Raises:
        InputError: a register map, certificate or key cannot be used.
    """
    settings = DriverSettings(config_path.parent, config.grid.voltage_v, clock)
    with _losses() as losses:
        async with connect(config.devices, settings, writer_epoch=None) as devices:
            rounds = [await _round(config.devices, devices, clock)]
            for _ in range(reads - 1):
                await asyncio.sleep(PAUSE_S)
                rounds.append(await _round(config.devices, devices, clock))
    return tuple(_report(device, [one[device.name] for one in rounds], losses) for device in config.devices)


def model_check(config: Config, reports: Sequence[DeviceReport]) -> ModelCheck | None:
    """Compare the grid model with the voltages that were read; None if too few meters answered."""
    grid, check = GridCheck(config), None
    for readings in zip(*(report.readings for report in reports), strict=True):
        check = grid.after(check, {r.measurement.device: r.measurement for r in readings})
    return check


def check_meters(config: Config, reports: Sequence[DeviceReport]) -> MeterReport:
    """Compare all voltages with the grid model and with each other, and each meter's readings with those of others."""
    check = MeterCheck(meter_places(config))
    memory, verdict = check.start(), MeterVerdict()
    for k, readings in enumerate(zip(*(report.readings for report in reports), strict=True)):
        off = {r.measurement.device for r in readings if r.status and r.status.state is OperatingState.OFF}
        shown = simultaneous({r.measurement.device: r.measurement for r in readings})
        verdict, memory = check.after(without_voltage(shown, frozenset(off)), k * PAUSE_S, memory)
    exchanged = check.exchanged(memory)
    problems = {name: doubt.text for name, doubt in verdict.doubts.items()}
    if exchanged.pair:
        first, second = exchanged.pair
        for name, other in ((first, second), (second, first)):
            problems[name] = f"its readings fit the node of {other}, and the other way round: exchanged?"
    return MeterReport(bool(memory.samples), problems, verdict.undecided, exchanged.unclear)


async def _round(configured: Sequence[Device], devices: ConnectedDevices, clock: Clock) -> Mapping[str, ProbeReading]:
    """Read every device once."""
    places: dict[str, list[str]] = {}
    for device in configured:
        places.setdefault(_place(device), []).append(device.name)
    async with asyncio.TaskGroup() as tasks:
        reading = [tasks.create_task(_read_in_sequence(names, devices, clock)) for names in places.values()]
    return {name: one for task in reading for name, one in task.result().items()}


async def _read_in_sequence(
    names: Sequence[str], devices: ConnectedDevices, clock: Clock
) -> Mapping[str, ProbeReading]:
    return {name: await _read(name, devices, clock) for name in names}


async def _read(name: str, devices: ConnectedDevices, clock: Clock) -> ProbeReading:
    began_s = clock.monotonic_s()
    measurement = await devices.readers[name].read()
    latency_ms = 1e3 * (clock.monotonic_s() - began_s)
    watched, taken_at = devices.watched.get(name), measurement.taken_at
    age_s = None if taken_at is None else (clock.now() - taken_at).total_seconds()
    return ProbeReading(measurement, watched.status if watched else None, latency_ms, age_s)


def _place(device: Device) -> str:
    return urlsplit(device.url).netloc if isinstance(device, OpcUaConverter) else f"{device.host}:{device.port}"


def _report(device: Device, readings: Sequence[ProbeReading], losses: Mapping[str, str]) -> DeviceReport:
    return DeviceReport(device, tuple(readings), tuple(_problems(device, readings, losses.get(device.name, ""))))


def _problems(device: Device, readings: Sequence[ProbeReading], losses: str) -> Iterator[str]:
    answered = [reading for reading in readings if reading.answered]
    if not answered:
        yield f"no answer: {losses}"
        return
    if len(answered) < len(readings):
        yield f"answered {len(answered)} of {len(readings)} readings: {losses}"
    elif worst := next((r.measurement.quality for r in answered if r.measurement.quality is not Quality.GOOD), None):
        yield f"{worst}: {losses}"
    yield from _clock_problems(answered)
    status = answered[-1].status
    if status is not None and not isinstance(device, ModbusMeter):
        yield from _converter_problems(status, device.s_max_kva)


def _clock_problems(answered: Sequence[ProbeReading]) -> Iterator[str]:
    first, last = answered[0], answered[-1]
    if last.clock_age_s is None:
        yield "tells no time, so that frozen data cannot be told"
    elif last is not first and last.measurement.taken_at == first.measurement.taken_at:
        yield "its clock stands: frozen?"
    elif abs(last.clock_age_s) > CLOCK_OFF_S:
        yield f"its clock is {last.clock_age_s:.1f} s behind ours, allowed ±{CLOCK_OFF_S:g} s"


def _converter_problems(status: ConverterStatus, s_max_kva: float) -> Iterator[str]:
    if status.state in _SITUATIONS:
        yield _SITUATIONS[status.state]
    if status.state is OperatingState.REMOTE:
        writer = "unknown" if status.writer_epoch is None else f"{status.writer_epoch}"
        yield f"follows setpoints (REMOTE, writer {writer}): is another controller running?"
    if status.s_max_kva is not None and status.s_max_kva < DERATED * s_max_kva:
        yield f"offers {status.s_max_kva:g} kVA, configured {s_max_kva:g} kVA"


class _LossHandler(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.losses: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        match record.args:
            case (str(device), str(trouble)):
                self.losses.setdefault(device, trouble)


@contextmanager
def _losses() -> Iterator[Mapping[str, str]]:
    """Collect the first message of the drivers about each lost device, from their log."""
    log, handler = logging.getLogger(exchange.__name__), _LossHandler()
    log.addHandler(handler)
    try:
        yield handler.losses
    finally:
        log.removeHandler(handler)
