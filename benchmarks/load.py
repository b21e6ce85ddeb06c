"""A hundred more devices of 60 registers each, read every second in the event loop of the service for ten minutes.

The service is in ACTIVE on a plant of its own, in real time. Run as a program, this module serves the devices.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

from benchmarks.tables import ResultTable, Targets
from controller.process.clocks import WallClock
from controller.process.heartbeat import boot_id
from controller.process.modes import Mode
from controller.service.schedule import Schedule
from controller.service.service import Service
from controller.service.setup import Setup
from core.load import load_config
from drivers.modbus import ModbusLink
from sim_plant.modbus_server import serve_modbus
from tests.support.guardians import guardian_process
from tests.support.laboratory import laboratory

DEVICES, REGISTERS, UNITS_OF_A_LINK = 100, 60, 10
MINUTES = 10.0
PERIOD_S = 1.0
FIRST_CYCLES_S = 95.0


@dataclass
class AddressBank:
    """A bank of registers each of which holds its own address; what is written is ignored."""

    address: int = 0
    n_words: int = REGISTERS

    def read(self, address: int, count: int) -> list[int]:
        """Return the addresses of ``count`` registers from ``address`` on."""
        return list(range(address, address + count))

    def write(self, address: int, words: Sequence[int]) -> None:
        """Ignore the words."""


@dataclass
class PollLoad:
    """Reads of all devices: their number, wall time of each round over all devices in s, and the number of late
    rounds.
    """

    reads: int = 0
    late: int = 0
    rounds_s: list[float] = field(default_factory=list)

    async def run(self, port: int) -> None:
        """Read all devices every second; a round that takes longer is late."""
        async with AsyncExitStack() as stack:
            groups = [range(first, first + UNITS_OF_A_LINK) for first in range(1, DEVICES + 1, UNITS_OF_A_LINK)]
            links = [await stack.enter_async_context(ModbusLink("127.0.0.1", port, WallClock())) for _ in groups]
            while True:
                began_s = time.monotonic()
                await asyncio.gather(*(self._read(link, units) for link, units in zip(links, groups, strict=True)))
                self.rounds_s.append(time.monotonic() - began_s)
                self.late += self.rounds_s[-1] > PERIOD_S
                await asyncio.sleep(max(0.0, PERIOD_S - self.rounds_s[-1]))

    async def _read(self, link: ModbusLink, units: Sequence[int]) -> None:
        for unit in units:
            assert len(await link.read(unit, 0, REGISTERS)) == REGISTERS
            self.reads += 1


async def _serve_devices() -> None:
    async with serve_modbus({unit: AddressBank() for unit in range(1, DEVICES + 1)}) as port:
        print(port, flush=True)
        await asyncio.Event().wait()


@contextmanager
def _device_process() -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.load"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


async def _served(config: Path, folder: Path, port: int, minutes: float) -> tuple[Service, PollLoad, list[float]]:
    setup = Setup(load_config(config), config, folder / "run", folder / "state", boot=boot_id())
    clock, load = WallClock(), PollLoad()
    setup.folder.mkdir()
    cycles_ms: list[float] = []
    async with Service(setup, clock, clock) as service:
        schedule = Schedule(service, setup.config.schedule, setup.config.horizon.timezone, clock)
        running = asyncio.create_task(schedule.run())
        await service.set_mode(Mode.ACTIVE)
        await asyncio.sleep(FIRST_CYCLES_S)
        missed = service.missed
        loading = asyncio.create_task(load.run(port))
        end_s, seen = time.monotonic() + 60 * minutes, None
        while time.monotonic() < end_s:
            await asyncio.sleep(PERIOD_S)
            if loading.done():
                loading.result()
            if service.record is not None and service.record is not seen:
                seen = service.record
                cycles_ms.append(seen.cycle_ms)
        loading.cancel()
        service.missed -= missed
        schedule.stop.set()
        await running
    return service, load, cycles_ms


def run(minutes: float = MINUTES) -> Iterator[ResultTable]:
    """Yield what was measured of the cycles and of the additional reads, then the targets."""
    with (
        TemporaryDirectory() as scratch,
        laboratory(Path(scratch), realtime_s=30.0) as lab,
        guardian_process(lab.config, Path(scratch) / "state"),
        _device_process() as port,
    ):
        service, load, cycles_ms = asyncio.run(_served(lab.config, Path(scratch), port, minutes))
        violations = lab.ask(ask="referee")["violations"]
    table = ResultTable(f"{minutes:g} minutes beside {DEVICES} devices of {REGISTERS} registers", ("", "found"))
    table.add("reads", str(load.reads))
    table.add("round of all, p50 / p99, ms", " / ".join(f"{1e3 * _percentile(load.rounds_s, k):.0f}" for k in (50, 99)))
    table.add("rounds longer than a second", str(load.late))
    table.add("cycles (missed)", f"{len(cycles_ms)} ({service.missed})")
    table.add("cycle p50 / p99, ms", " / ".join(f"{_percentile(cycles_ms, k):.0f}" for k in (50, 99)))
    table.add("violations", str(violations))
    yield table
    targets = Targets()
    targets.check("no missed cycle", f"{service.missed}", service.missed == 0 and len(cycles_ms) >= 2 * minutes - 1)
    yield targets


def _percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]


if __name__ == "__main__":
    asyncio.run(_serve_devices())
