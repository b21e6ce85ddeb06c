"""Common parts of driver tests: a clock moved by the test, deadlines, devices."""

from datetime import UTC, datetime, timedelta

from drivers.converter import WiredConverter
from drivers.converters.sunspec import SunspecWire
from drivers.exchange import Exchanges, Timing
from drivers.fencing import Fence
from drivers.modbus import ModbusLink
from drivers.readings import ReadingCheck

QUICK = Timing(request_s=0.3, exchange_s=2.0, pause_s=1.0)
"""Deadlines short enough for a test; the pause is in the time of :class:`ManualClock`."""


class ManualClock:
    """A :class:`core.time.Clock` that stands still until it is moved."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> datetime:
        return datetime(2018, 6, 21, 10, tzinfo=UTC) + timedelta(seconds=self.elapsed_s)

    def monotonic_s(self) -> float:
        return self.elapsed_s

    def move(self, by_s: float) -> None:
        self.elapsed_s += by_s


def parts(
    name: str, clock: ManualClock, timing: Timing = QUICK, s_max_kva: float = 15.0
) -> tuple[ReadingCheck, Exchanges]:
    """The check and the exchanges that the factory gives to a device of 400 V and 15 kVA."""
    return ReadingCheck(name, 400.0, clock, s_max_kva), Exchanges(name, clock, timing)


def sunspec_converter(link: ModbusLink, clock: ManualClock) -> WiredConverter:
    """Unit 1 of the link as converter n5, written by epoch 7."""
    gauge, exchanges = parts("n5", clock)
    return WiredConverter(SunspecWire(link, 1, exchanges), gauge, exchanges, fence=Fence(7))
