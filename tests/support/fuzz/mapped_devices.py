"""A meter and a converter with mapped registers, read and written through a network that damages frames.

The claim: a reading is GOOD only with values that a valid answer carries and that are plausible; its other values are
never invented; a setpoint is VERIFIED only if a valid answer shows it. Conversely, undamaged answers are used.
"""

import asyncio
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isclose

from core.devices import Measurement, Outcome, Quality, Setpoint
from drivers.converter import WiredConverter
from drivers.converters.generic_modbus import GenericModbusWire
from drivers.exchange import TIMING, Exchanges
from drivers.fencing import Fence
from drivers.meters.sicam import SicamMeter
from drivers.modbus import ModbusLink, ModbusUnit
from drivers.readings import ReadingCheck
from drivers.registers import load_registers
from tests.support.fuzz.findings import Findings
from tests.support.fuzz.frames import READ, Request, damaged, sliced
from tests.support.fuzz.memory_wire import LoopClock, run_on
from tests.support.fuzz.register_oracle import Layout, believable, instant, same
from tests.support.paths import REGISTERS

UNHARMED = 0.4
"""Share of answers that arrive undamaged."""
RATING_KVA, OVERLOAD_KVA = 15.0, 22.5
PAUSE_S = 1.1
"""Longer than the pause after a failure."""
SANE = {
    "v_v": 400.0, "i_a": 8.0, "p_kw": 4.0, "q_kvar": -2.0, "clock_s": 1529575200.0, "state": 2.0, "s_max_kva": 15.0,
    "p_setpoint_kw": 4.0, "q_setpoint_kvar": -2.0, "lease_s": 75.0, "writer_epoch": 7.0, "enable": 1.0,
}  # fmt: skip
METER = Layout.of(REGISTERS / "sicam_meter.yaml")
CONVERTER = Layout.of(REGISTERS / "converter_generic.yaml")
HELD = Layout.of(
    REGISTERS / "converter_generic.yaml",
    ("p_setpoint_kw", "q_setpoint_kvar", "lease_s", "writer_epoch", "enable", "state"),
)
_STATE, _SAFE, _REMOTE = 2 * 7, b"\0\1", b"\0\2"
"""Position and values of the converter's state in the bytes of its block."""


@dataclass
class Device:
    """A block of registers and the network before it. ``heard`` are the valid answers since ``forget``."""

    rng: random.Random
    layout: Layout
    data: bytearray = field(default_factory=bytearray)
    obedient: bool = True
    unharmed: bool = True
    heard: list[bytes] = field(default_factory=list)
    frames: int = 0
    _stale: bytes = b""

    def forget(self) -> None:
        """Clear the answers, before the next exchange."""
        self.heard, self.unharmed = [], True

    def answer(self, adu: bytes) -> list[bytes] | None:
        """Data that arrive after this request; None closes the connection."""
        self.frames += 1
        request = Request.of(adu)
        at = 2 * (request.address - self.layout.address)
        if request.function == READ:
            frame = request.reading(bytes(self.data[at : at + 2 * request.count]))
        else:
            frame = request.acknowledgement()
            self._written(at, request.written)
        chance = self.rng.random()
        stream = frame if chance < UNHARMED else damaged(self.rng, request, frame, self._stale)
        self._stale = frame
        if chance > 0.96:
            stream = b""
        self.unharmed = stream == frame and (self.unharmed or request.function == READ)
        if request.function == READ:
            self.heard += request.answers_in(stream)
        return None if chance > 0.98 else sliced(self.rng, stream)

    def _written(self, at: int, written: bytes) -> None:
        if self.obedient:
            self.data[at : at + len(written)] = written
            self.data[_STATE : _STATE + 2] = _REMOTE if self.data[13] else _SAFE


def fuzz_meter(seed: random.Random, readings: int) -> Findings:
    """Readings of a SICAM-like meter, each by a new driver, without an earlier clock to compare with."""
    device, found = Device(seed, METER), Findings()

    async def main() -> None:
        clock = LoopClock()
        async with ModbusLink("meter", 1, clock) as link:
            unit = ModbusUnit(link, 1, load_registers(REGISTERS / "sicam_meter.yaml"))
            for _ in range(readings):
                meter = SicamMeter(unit, ReadingCheck("meter", 400.0, clock), Exchanges("meter", clock, TIMING))
                await _read(device, meter, found, status=True)

    run_on(device.answer, main(), found.stray)
    found.tried = device.frames
    return found


def fuzz_converter(seed: random.Random, exchanges: int) -> Findings:
    """Readings and setpoints of a converter with its register map, each by a new driver."""
    device, found = Device(seed, CONVERTER), Findings()

    async def main() -> None:
        clock = LoopClock()
        async with ModbusLink("converter", 1, clock) as link:
            unit = ModbusUnit(link, 1, load_registers(REGISTERS / "converter_generic.yaml"))
            for k in range(exchanges):
                gauge, turns = ReadingCheck("n4", 400.0, clock, RATING_KVA), Exchanges("n4", clock, TIMING)
                converter = WiredConverter(GenericModbusWire(unit), gauge, turns, fence=Fence(7))
                if k % 3:
                    await _read(device, converter, found)
                else:
                    await _write(device, converter, found)

    run_on(device.answer, main(), found.stray)
    found.tried = device.frames
    return found


async def _read(device: Device, driver: SicamMeter | WiredConverter, found: Findings, *, status: bool = False) -> None:
    device.data = bytearray(device.layout.junk(device.rng, SANE))
    device.forget()
    try:
        reading = await driver.read()
    except Exception as error:
        found.crash(f"{driver.name}.read: {error!r}, answers {[h.hex() for h in device.heard]}")
        await asyncio.sleep(PAUSE_S)
        return
    options = [device.layout.values(data) for data in device.heard]
    limit_kva = None if isinstance(driver, SicamMeter) else OVERLOAD_KVA
    good = [o for o in options if _usable(o, device.layout, limit_kva) and (not status or o["status"] == 0)]
    found.accepted += reading.quality is Quality.GOOD
    for problem in _misreadings(reading, options, good, device.unharmed):
        found.wrong_value(f"{driver.name}: {problem}: {reading}, answers {[h.hex() for h in device.heard]}")
    if isinstance(driver, WiredConverter) and not _status_said(driver, options):
        found.wrong_value(f"{driver.name}: {driver.status}, answers {[h.hex() for h in device.heard]}")
    if reading.quality is not Quality.GOOD:
        await asyncio.sleep(PAUSE_S)


async def _write(device: Device, converter: WiredConverter, found: Findings) -> None:
    device.data = bytearray(device.layout.junk(device.rng, SANE))
    device.obedient = device.rng.random() < 0.7
    p_kw, q_kvar = device.rng.uniform(-10, 10), device.rng.uniform(-10, 10)
    device.forget()
    try:
        outcome = await converter.write(Setpoint(p_kw, q_kvar, 75.0))
    except Exception as error:
        found.crash(f"{converter.name}.write: {error!r}")
        await asyncio.sleep(PAUSE_S)
        return
    shown = any(_holds(HELD.values(data), p_kw, q_kvar) for data in device.heard)
    found.accepted += outcome is Outcome.VERIFIED
    if outcome is Outcome.VERIFIED and not shown:
        found.wrong_value(f"verified {p_kw} kW, {q_kvar} kvar, answers {[h.hex() for h in device.heard]}")
    if device.unharmed and device.obedient and outcome is not Outcome.VERIFIED:
        found.wrong_value(f"{outcome}: {p_kw} kW, {q_kvar} kvar were taken and shown")
    if outcome is not Outcome.VERIFIED:
        await asyncio.sleep(PAUSE_S)


def _misreadings(
    reading: Measurement, options: list[dict[str, float | None]], good: list[dict[str, float | None]], unharmed: bool
) -> Iterable[str]:
    if reading.quality is Quality.GOOD and not any(_agrees(reading, values) for values in good):
        yield "accepted what is not there"
    if reading.quality is not Quality.GOOD:
        silent = all(x is None for x in (reading.p_kw, reading.q_kvar, reading.v_pu, reading.i_a, reading.taken_at))
        if not silent and not any(_agrees(reading, values) for values in options):
            yield "invented"
        if unharmed and good:
            yield "refused what arrived unharmed"


def _agrees(reading: Measurement, said: Mapping[str, float | None]) -> bool:
    v_v, clock_s = said.get("v_v"), said.get("clock_s")
    return (
        same(reading.p_kw, said["p_kw"])
        and same(reading.q_kvar, said["q_kvar"])
        and same(reading.v_pu, None if v_v is None else v_v / 400.0)
        and same(reading.i_a, said.get("i_a"))
        and reading.taken_at == (None if clock_s is None else instant(clock_s))
    )


def _usable(values: Mapping[str, float | None], layout: Layout, limit_kva: float | None) -> bool:
    needed = {"p_kw", "q_kvar", "v_v", "i_a", "clock_s"} & {entry.name for entry in layout.entries}
    return believable(values, needed, limit_kva)


def _status_said(converter: WiredConverter, options: list[dict[str, float | None]]) -> bool:
    status = converter.status
    if status is None:
        return True
    return any(
        status.state == (said["state"] if said["state"] in (0, 1, 2, 3, 4) else None)
        and same(status.s_max_kva, said["s_max_kva"])
        and same(status.p_setpoint_kw, said["p_setpoint_kw"])
        and same(status.q_setpoint_kvar, said["q_setpoint_kvar"])
        and same(status.writer_epoch, said["writer_epoch"])
        for said in options
    )


def _holds(said: Mapping[str, float | None], p_kw: float, q_kvar: float) -> bool:
    p, q, lease_s = said["p_setpoint_kw"], said["q_setpoint_kvar"], said["lease_s"]
    if p is None or q is None or lease_s is None:
        return False
    near = isclose(p, p_kw, abs_tol=0.015) and isclose(q, q_kvar, abs_tol=0.015)
    return near and 70 <= lease_s <= 76 and (said["writer_epoch"], said["enable"], said["state"]) == (7, 1, 2)
