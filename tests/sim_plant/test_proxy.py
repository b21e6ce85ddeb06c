"""The proxy in front of a device, by plain sockets: what a client finds under each fault, and that nothing is left."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from sim_plant.plant import Plant, open_plant
from tests.support.asynchronous import run
from tests.support.plant_benches import GENERIC, device, master, mbap, plant_of, setpoint_words

CONVERTERS = (device("c", GENERIC, port=1, unit=1), device("d", GENERIC, port=1, unit=2))
STATE = bytes((3, 0, 7, 0, 1))
SAFE, REMOTE = (bytes((3, 2, 0, state)) for state in (1, 2))
WAIT_S = 0.1
"""Long enough to say that nothing comes."""


def write(p_kw: float) -> bytes:
    words = setpoint_words(p_kw, 0.0)
    return bytes((16, 0, 0, 0, len(words), 2 * len(words))) + b"".join(word.to_bytes(2, "big") for word in words)


class Client:
    """Sends requests by their bytes, numbered from 1 on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.count = reader, writer, 0

    async def ask(self, pdu: bytes, unit: int = 1) -> bytes:
        """The next message that comes, whatever it answers; b"" where none does."""
        self.send(pdu, unit)
        return await self.hear()

    def send(self, pdu: bytes, unit: int = 1) -> None:
        self.count += 1
        self.writer.write(mbap(unit, pdu, self.count))

    async def hear(self) -> bytes:
        try:
            async with asyncio.timeout(WAIT_S):
                head = await self.reader.readexactly(6)
                return head + await self.reader.readexactly(int.from_bytes(head[4:], "big"))
        except TimeoutError:
            return b""


@asynccontextmanager
async def client(plant: Plant) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", plant.proxies["c"].port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def fault(plant: Plant, name: str, number: float | None = None) -> AsyncIterator[None]:
    await plant.switch(name, "c", on=True, number=number)
    yield
    await plant.switch(name, "c", on=False)


async def refused(plant: Plant) -> bool:
    try:
        async with client(plant):
            return False
    except ConnectionError:
        return True


async def test_down_is_refused_and_up_again_at_the_same_port() -> None:
    async with open_plant(plant_of(*CONVERTERS)) as plant, client(plant) as old:
        assert await old.ask(STATE) == mbap(1, SAFE)
        async with fault(plant, "down"):
            assert await refused(plant)
            with pytest.raises(ConnectionResetError):
                await old.ask(STATE)
        async with client(plant) as new:
            assert await new.ask(STATE, unit=2) == mbap(2, SAFE)


async def test_down_for_one_device_goes_on_while_it_is_for_another() -> None:
    async with open_plant(plant_of(*CONVERTERS)) as plant:
        async with fault(plant, "down"):
            await plant.switch("down", "d", on=True)
        assert await refused(plant)
        await plant.switch("down", "d", on=False)
        assert not await refused(plant)


async def test_flapping() -> None:
    async with open_plant(plant_of(*CONVERTERS)) as plant:
        seen = []
        async with fault(plant, "flapping", number=10.0):
            for _ in range(40):
                await asyncio.sleep(0.01)
                seen.append(await refused(plant))
        assert sum(before != after for before, after in pairwise(seen)) >= 4
        assert not await refused(plant)


async def test_a_black_hole_swallows_old_and_new_connections() -> None:
    async with open_plant(plant_of(*CONVERTERS)) as plant, client(plant) as old:
        assert await old.ask(STATE) == mbap(1, SAFE)
        async with fault(plant, "black_hole"), client(plant) as new:
            assert await old.ask(write(1.0)) == await new.ask(STATE, unit=2) == b""
        assert plant.laboratory.recorder.tally.frames.total() == 0, "not even the write has arrived"
        assert await old.ask(STATE) == mbap(1, SAFE, 3)


async def test_one_unit_is_silent() -> None:
    async with open_plant(plant_of(*CONVERTERS)) as plant, client(plant) as shared:
        async with fault(plant, "silent"):
            assert await shared.ask(STATE) == b""
            assert await shared.ask(STATE, unit=2) == mbap(2, SAFE, 2)
        assert await shared.ask(STATE) == mbap(1, SAFE, 3)


async def test_a_late_write_is_executed_when_its_client_has_gone() -> None:
    async with open_plant(plant_of(*CONVERTERS)) as plant:
        await plant.advance(30.0)
        async with fault(plant, "late_write", number=5.0):
            async with client(plant) as gone:
                assert await gone.ask(write(1.0)) == b""
            async with client(plant) as reading:
                assert await reading.ask(STATE) == mbap(1, SAFE)
        await plant.advance(34.0)
        assert plant.laboratory.recorder.tally.frames.total() == 0
        await plant.advance(60.0)
        async with client(plant) as reading:
            assert await reading.ask(STATE) == mbap(1, REMOTE)
        assert plant.laboratory.converters["c"].state.expires_s == 60.0 + 75.0


async def test_late_answers_go_to_whoever_asks_next() -> None:
    async with open_plant(plant_of(*CONVERTERS)) as plant, fault(plant, "late"):
        async with client(plant) as first:
            assert await first.ask(STATE) == b""
        async with client(plant) as second:
            assert await second.ask(write(1.0)) == mbap(1, SAFE)
            assert (await second.ask(STATE))[7] == 16, "the answer to the write"


async def test_an_old_answer_comes_before_the_right_one() -> None:
    async with open_plant(plant_of(*CONVERTERS)) as plant, fault(plant, "replay"), client(plant) as asking:
        assert await asking.ask(STATE) == mbap(1, SAFE)
        assert await asking.ask(STATE) == mbap(1, SAFE, 1)
        assert await asking.hear() == mbap(1, SAFE, 2)


@pytest.mark.parametrize(("name", "ending"), [("short", "open"), ("cut", "closed"), ("reset", "reset")])
async def test_half_an_answer(name: str, ending: str) -> None:
    async with open_plant(plant_of(*CONVERTERS)) as plant, fault(plant, name), client(plant) as asking:
        asking.send(STATE)
        try:
            got = await asking.reader.readexactly(5)
            async with asyncio.timeout(WAIT_S):
                rest = await asking.reader.read()
            assert (got, rest, ending) == (mbap(1, SAFE)[:5], b"", "closed")
        except TimeoutError:
            assert ending == "open"
        except ConnectionResetError:
            assert ending == "reset"


async def test_slow_and_sliced_answers_are_right() -> None:
    async with open_plant(plant_of(*CONVERTERS)) as plant, client(plant) as asking:
        async with fault(plant, "slow", number=0.05):
            began_s = time.monotonic()
            assert await asking.ask(STATE) == mbap(1, SAFE)
            assert time.monotonic() - began_s > 0.05
        async with fault(plant, "sliced"):
            asking.send(STATE)
            parts = [await asking.reader.read(100)]
            while sum(map(len, parts)) < len(mbap(1, SAFE)):
                parts.append(await asking.reader.read(100))
            assert b"".join(parts) == mbap(1, SAFE, 2)
            assert len(parts) > len(mbap(1, SAFE)) / 2


async def test_what_cannot_be_asked_for() -> None:
    async with open_plant(plant_of(*CONVERTERS)) as plant, master(plant.control_port) as ask:
        assert await ask(fault="down", device="c", on=True) == {"at": 0.0}
        assert await refused(plant)
        for request, error in (
            ({"fault": "slow", "device": "c", "on": True, "number": -1}, "c: asked fault slow with -1, allowed"),
            ({"fault": "slow", "device": "c", "on": True, "number": "2"}, "with 2, allowed a number or none"),
            ({"fault": "gremlin", "device": "c", "on": True}, "c: asked fault gremlin, allowed frozen"),
            ({"fault": "down", "device": "x", "on": True}, "asked device x, allowed c, d"),
        ):
            assert error in (await ask(**request))["error"]


def n_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_is_left_behind() -> None:
    async def test() -> None:
        async with open_plant(plant_of(*CONVERTERS)) as plant:
            before = n_descriptors(), len(asyncio.all_tasks())
            for name in ("black_hole", "late_write", "slow", "flapping", "down"):
                async with fault(plant, name):
                    for _ in range(5):
                        if not await refused(plant):
                            async with client(plant) as asking:
                                asking.send(write(1.0))
            await plant.advance(30.0)
            async with asyncio.timeout(1):
                while (n_descriptors(), len(asyncio.all_tasks())) != before:
                    await asyncio.sleep(0.01)

    before = n_descriptors()
    run(test())
    assert n_descriptors() <= before
