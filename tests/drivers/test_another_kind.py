"""A kind of converter that nobody has foreseen: 60 lines and a map, driven over a real Modbus TCP server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pymodbus.constants import ExcCodes

from core.devices import OperatingState, Outcome, Quality, Setpoint
from drivers.converter import WiredConverter
from drivers.fencing import Fence
from drivers.modbus import ModbusLink, ModbusUnit
from drivers.registers import load_registers
from tests.drivers import locked_converter
from tests.drivers.devices import FakeDevice, Words, served
from tests.drivers.locked_converter import UNLOCK, LockedWire
from tests.support.drivers import QUICK, ManualClock, parts

LINES = 60
REGISTERS = load_registers(Path(__file__).parents[1] / "cases" / "registers" / "locked_converter.yaml")
SAYS = {"p_kw": 3.0, "q_kvar": -1.5, "v_v": 400.0}
SETPOINT = Setpoint(6.0, -7.5, 75.0)
UNLOCK_AT, WATCHDOG_AT, RUN_AT = (REGISTERS[name].address for name in ("unlock", "watchdog_s", "run"))
FOLLOWING, LEFT = REGISTERS["following"].address, REGISTERS["watchdog_left_s"].address


class LockedDevice(FakeDevice):
    """Does what its manual says; ``deaf`` acknowledges and does nothing."""

    def __init__(self) -> None:
        super().__init__(REGISTERS, SAYS, self._written)
        self.deaf, self.local, self._open = False, False, False

    def _written(self, words: Words, written: Words) -> ExcCodes | None:
        if UNLOCK_AT in written:
            self._open = written[UNLOCK_AT] == UNLOCK
            return None
        if self.local or not self._open:
            return ExcCodes.DEVICE_FAILURE
        self._open = False
        if not self.deaf:
            words.update(written)
            words[FOLLOWING], words[LEFT] = written[RUN_AT], written.get(WATCHDOG_AT, 0)
        return None


@dataclass
class Bench:
    device: LockedDevice
    converter: WiredConverter


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    clock, device = ManualClock(), LockedDevice()
    async with served({1: device}) as port, ModbusLink("127.0.0.1", port, clock, QUICK) as link:
        gauge, exchanges = parts("n6", clock)
        wire = LockedWire(ModbusUnit(link, 1, REGISTERS), gauge.s_max_kva)
        yield Bench(device, WiredConverter(wire, gauge, exchanges, fence=Fence(7)))


def test_it_takes_sixty_lines() -> None:
    source = Path(locked_converter.__file__).read_text(encoding="utf-8")
    assert len(source.splitlines()) <= LINES


async def test_read_write_and_release() -> None:
    async with bench() as b:
        reading = await b.converter.read()
        assert (reading.p_kw, reading.q_kvar, reading.v_pu, reading.quality) == (3.0, -1.5, 1.0, Quality.GOOD)
        assert b.converter.status
        assert b.converter.status.state is OperatingState.SAFE
        b.device.requests.clear()
        assert await b.converter.write(SETPOINT) is Outcome.VERIFIED
        assert (b.device.heard("p_permille"), b.device.heard("q_permille")) == (400, -500)
        assert b.device.requests == [16, 16, 3, 3], "unlock code and setpoint, then two blocks are read back"
        await b.converter.read()
        status = b.converter.status
        assert status.state is OperatingState.REMOTE
        assert (status.p_setpoint_kw, status.q_setpoint_kvar) == pytest.approx((6.0, -7.5))
        assert await b.converter.release() is Outcome.VERIFIED
        assert (b.device.heard("run"), b.device.heard("p_permille")) == (0, 400)


async def test_what_it_refuses_or_ignores_is_rejected() -> None:
    async with bench() as b:
        b.device.local = True
        assert await b.converter.write(SETPOINT) is Outcome.REJECTED
        b.device.local, b.device.deaf = False, True
        assert await b.converter.write(SETPOINT) is Outcome.REJECTED
        b.device.deaf = False
        assert await b.converter.write(SETPOINT) is Outcome.VERIFIED
        b.device.deaf = True
        assert await b.converter.release() is Outcome.REJECTED


@pytest.mark.parametrize("setpoint", [Setpoint(12.0, 9.5, 75.0), Setpoint(1.0, 0.0, 301.0)], ids=["rating", "map"])
async def test_what_is_out_of_range_is_never_sent(setpoint: Setpoint) -> None:
    async with bench() as b:
        assert await b.converter.write(setpoint) is Outcome.REJECTED
        assert not b.device.requests


async def test_without_an_answer_nothing_is_known() -> None:
    clock, device = ManualClock(), LockedDevice()
    async with served({1: device}) as port:
        pass
    async with ModbusLink("127.0.0.1", port, clock, QUICK) as link:
        gauge, exchanges = parts("n6", clock)
        wire = LockedWire(ModbusUnit(link, 1, REGISTERS), gauge.s_max_kva)
        converter = WiredConverter(wire, gauge, exchanges, fence=Fence(7))
        assert (await converter.read()).quality is Quality.INVALID
        assert await converter.write(SETPOINT) is Outcome.UNKNOWN
        assert await converter.release() is Outcome.UNKNOWN
