"""Devices on a real pymodbus server in the test's own process: registers, and a hand on what they answer."""

from asyncio import Server
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.registers import RegisterMap

Words = dict[int, int]
OnWrite = Callable[[Words, Words], ExcCodes | None]
"""What a write does: (words of the device, words written by address)."""


def obey(words: Words, written: Words) -> ExcCodes | None:
    """A device that does as it is told."""
    words.update(written)
    return None


def ignore(words: Words, written: Words) -> ExcCodes | None:
    """A device that acknowledges, and no more."""
    return None


def refuse(words: Words, written: Words) -> ExcCodes | None:
    """A device that says no."""
    return ExcCodes.DEVICE_FAILURE


class FakeDevice:
    """Registers of a map; ``say`` changes what they hold, ``on_write`` is what a write does."""

    def __init__(self, registers: RegisterMap, says: Mapping[str, float | None], on_write: OnWrite = obey) -> None:
        self.registers = registers
        self.words: Words = {a: 0 for r in registers.registers for a in range(r.address, r.end)}
        self.on_write = on_write
        self.requests: list[int] = []
        self.say(says)

    def say(self, values: Mapping[str, float | None]) -> None:
        for name, value in values.items():
            register = self.registers[name]
            self.words.update(enumerate(register.encode(value), register.address))

    def heard(self, name: str) -> float | None:
        register = self.registers[name]
        return register.decode([self.words[a] for a in range(register.address, register.end)])

    def simulated(self, unit: int) -> SimDevice:
        first, last = min(self.words), max(self.words)

        async def action(
            function: int,
            start: int,
            address: int,
            count: int,
            current: list[int],
            written: list[int] | list[bool] | None,
        ) -> ExcCodes | None:
            self.requests.append(function)
            if written is not None:
                return self.on_write(self.words, dict(enumerate((int(w) for w in written), address)))
            wanted = range(address, address + count)
            if not self.words.keys() >= set(wanted):
                return ExcCodes.ILLEGAL_ADDRESS
            current[address - start : address - start + count] = [self.words[a] for a in wanted]
            return None

        block = SimData(first, count=last - first + 1, values=0, datatype=DataType.REGISTERS)
        return SimDevice(unit, [block], action=action)


@asynccontextmanager
async def served(devices: Mapping[int, FakeDevice], port: int = 0) -> AsyncIterator[int]:
    """The port of a server with these devices by unit."""
    server = ModbusTcpServer([d.simulated(unit) for unit, d in devices.items()], address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    assert isinstance(server.transport, Server)
    try:
        yield int(server.transport.sockets[0].getsockname()[1])
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]
