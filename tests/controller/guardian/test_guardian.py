"""The guardian on the simulated plant, in lock step over real sockets: all converters of the default scenario."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.guardian.guardian import Guardian, GuardianSetup, run_guardian
from controller.guardian.trail import TRAIL
from controller.process.clocks import SteppedClock
from controller.process.follower import at_addresses
from controller.process.heartbeat import Heartbeat, read_takeover
from controller.process.modes import Mode
from controller.record.audit_lines import AuditNote, AuditWrite, read_audit, unfinished
from core.config import Config
from core.config_devices import Converter, ModbusConverter, OpcUaConverter
from core.devices import Outcome, Setpoint
from core.epochs import LAST
from core.errors import InputError
from core.load import load_config
from drivers.factory import DriverSettings, connect
from sim_plant.converter import ControlState
from sim_plant.plant import Plant, open_plant
from sim_plant.reports import address
from sim_plant.settings import plant_config
from tests.support.disks import full_disk
from tests.support.paths import CONFIG

START = datetime(2018, 6, 21, tzinfo=UTC)
OLD = 5
"""Epoch of the service's writer."""


@dataclass
class Watchroom:
    """A plant, a service reduced to its setpoints and heartbeats, and the guardian, all at one virtual time."""

    config: Config
    plant: Plant
    clock: SteppedClock
    guardian: Guardian
    state: Path

    async def at(self, t_s: float) -> Mapping[str, Outcome]:
        """The guardian's step at ``t_s``."""
        await self.plant.advance(t_s)
        self.clock.advance_to(t_s)
        return await self.guardian.step()

    async def write(self, epoch: int = OLD) -> Mapping[str, Outcome]:
        """What a cycle of the service writes."""
        settings = DriverSettings(CONFIG.parent, 400.0, self.clock)
        async with connect(converters(self.config), settings, epoch) as devices:
            names, setpoint = list(devices.converters), Setpoint(1.0, 0.5, 75.0)
            outcomes = await asyncio.gather(*(devices.converters[name].write(setpoint) for name in names))
        return dict(zip(names, outcomes, strict=True))

    def beat(self, epoch: int = OLD, mode: Mode = Mode.ACTIVE) -> None:
        """A cycle is completed."""
        Heartbeat(epoch, mode, self.clock.now(), self.clock.monotonic_s(), None).write(self.state)

    @property
    def modes(self) -> set[ControlState]:
        return {converter.state.mode for converter in self.plant.laboratory.converters.values()}

    @property
    def epochs(self) -> set[int]:
        return {converter.state.epoch for converter in self.plant.laboratory.converters.values()}

    @property
    def audit(self) -> list[AuditWrite | AuditNote]:
        return list(read_audit(self.state / TRAIL))


def converters(config: Config) -> list[Converter]:
    return list(config.converters.values())


def without(config: Config, kind: type) -> Config:
    devices = tuple(device for device in config.devices if not isinstance(device, kind))
    return config.model_copy(update={"devices": devices})


@asynccontextmanager
async def watchroom(
    folder: Path, *, opcua: bool = False, moved: Mapping[str, int] | None = None
) -> AsyncIterator[Watchroom]:
    """At t = 0 a service of epoch 5 has written to every converter. ``moved``: devices that listen elsewhere."""
    state = folder / "state"
    state.mkdir()
    config = load_config(CONFIG) if opcua else without(load_config(CONFIG), OpcUaConverter)
    config = config.model_copy(update={"prosumers": config.prosumers if opcua else config.prosumers[:3]})
    async with open_plant(replace(plant_config(config, CONFIG, START), free_ports=True)) as plant:
        here = at_addresses(config, {device.name: address(device) for device in plant.devices})
        seen = at_addresses(here, {name: {"port": port} for name, port in (moved or {}).items()})
        clock = SteppedClock(START)
        guardian = Guardian(GuardianSetup(seen, CONFIG, state), clock)
        try:
            room = Watchroom(here, plant, clock, guardian, state)
            await plant.advance(0.0)
            assert set((await room.write()).values()) == {Outcome.VERIFIED}
            room.beat()
            yield room
        finally:
            await guardian.close()


async def test_five_converters_of_a_silent_service(tmp_path: Path) -> None:
    """Every kind of device is safe at 60 s, on record, and refuses the old writer for good."""
    async with watchroom(tmp_path, opcua=True) as room:
        assert await room.at(59.0) == {}
        assert room.modes == {ControlState.REMOTE}
        assert not (room.state / TRAIL).exists()
        outcomes = await room.at(60.0)
        assert (len(outcomes), set(outcomes.values())) == (5, {Outcome.VERIFIED})
        assert (room.modes, room.epochs) == ({ControlState.SAFE}, {OLD + 1})
        takeover = read_takeover(room.state)
        assert takeover
        assert (takeover.overtaken, takeover.epoch, takeover.outcomes) == (OLD, OLD + 1, outcomes)
        assert {name: (it.p_kw, it.q_kvar) for name, it in takeover.released.items()} == dict.fromkeys(
            outcomes, pytest.approx((1.0, 0.5), abs=0.1)
        )
        assert {(it.monotonic_s, it.epoch) for it in takeover.released.values()} == {(60.0, OLD + 1)}
        note, *writes = room.audit
        assert isinstance(note, AuditNote)
        assert (note.event, note.detail) == ("takeover", "epoch 5: no cycle for 60 s")
        assert [write.outcome for write in writes].count("verified") == 5
        assert unfinished(room.state / TRAIL) == ()
        assert set((await room.write()).values()) == {Outcome.REJECTED}
        assert (room.modes, room.epochs) == ({ControlState.SAFE}, {OLD + 1})
        frames = room.plant.laboratory.recorder.tally.frames.total()
        await room.at(61.0)
        assert room.plant.laboratory.recorder.tally.frames.total() == frames, "released once"


async def test_no_takeover_while_heartbeats_come_nor_in_monitor_nor_after_a_stop(tmp_path: Path) -> None:
    async with watchroom(tmp_path) as room:
        frames = room.plant.laboratory.recorder.tally.frames.total()
        for t_s in range(10, 300, 10):
            assert await room.at(t_s) == {}
            if t_s % 50 == 0:
                room.beat()
        for mode, t_s in ((Mode.MONITOR, 300), (Mode.OFF, 500)):
            room.beat(mode=mode)
            assert [await room.at(t_s + later_s) for later_s in (0, 70, 150)] == [{}] * 3
        assert room.plant.laboratory.recorder.tally.frames.total() == frames
        assert not room.guardian.is_writer
        assert {path.name for path in room.state.iterdir()} == {"heartbeat.json", "guardian.json"}


async def test_the_old_writer_comes_back_and_a_new_one_begins(tmp_path: Path) -> None:
    async with watchroom(tmp_path) as room:
        await room.at(60.0)
        forgetful = room.plant.laboratory.station("n5_converter")
        forgetful.state = replace(forgetful.state, epoch=0)  # as a device that does not keep epochs
        assert set((await room.write()).values()) == {Outcome.VERIFIED, Outcome.REJECTED}
        assert forgetful.state.mode is ControlState.REMOTE
        room.beat()
        assert set((await room.at(61.0)).values()) == {Outcome.VERIFIED}
        assert (room.modes, room.epochs) == ({ControlState.SAFE}, {OLD + 1})
        takeover = read_takeover(room.state)
        assert takeover
        assert {it.monotonic_s for it in takeover.released.values()} == {61.0}, "when each was last told"
        room.beat(OLD + 2)
        assert await room.at(62.0) == {}
        assert set((await room.write(OLD + 2)).values()) == {Outcome.VERIFIED}
        assert await room.at(120.0) == {}
        assert room.modes == {ControlState.REMOTE}
        await room.at(121.0)
        assert (room.modes, room.epochs) == ({ControlState.SAFE}, {OLD + 3})
        events = [line.event for line in room.audit if isinstance(line, AuditNote)]
        assert events == ["takeover", "takeover", "stepped back", "takeover"]


async def test_a_writer_that_hangs_before_its_first_setpoint_is_fenced_off_too(tmp_path: Path) -> None:
    """The devices still report the guardian's epoch of an earlier takeover, which that writer has overtaken."""
    async with watchroom(tmp_path) as room:
        await room.at(60.0)
        room.beat(OLD + 2)
        assert await room.at(61.0) == {}
        assert set((await room.at(122.0)).values()) == {Outcome.VERIFIED}
        assert room.epochs == {OLD + 3}
        assert set((await room.write(OLD + 2)).values()) == {Outcome.REJECTED}
        assert room.modes == {ControlState.SAFE}


async def test_a_new_writer_is_left_alone_even_by_an_attempt_under_way(tmp_path: Path) -> None:
    """It has begun between the look at the heartbeat and the reading of the device."""
    async with watchroom(tmp_path) as room:
        await room.at(60.0)
        room.beat(OLD + 2)
        assert set((await room.write(OLD + 2)).values()) == {Outcome.VERIFIED}
        for ward in room.guardian.guarded.values():
            assert await ward.release(OLD, "guardian") is Outcome.REJECTED
        assert (room.modes, room.epochs) == ({ControlState.REMOTE}, {OLD + 2})


async def test_what_is_not_yet_safe_is_dropped_for_a_new_writer_that_began_in_monitor(tmp_path: Path) -> None:
    async with watchroom(tmp_path) as room:
        n3 = room.plant.laboratory.station("n3_converter")
        n3.switch("ignore_writes", on=True)
        await room.at(60.0)
        room.beat(mode=Mode.MONITOR)
        assert (await room.at(61.0))["n3_converter"] is Outcome.REJECTED
        assert room.guardian.is_writer
        n3.switch("ignore_writes", on=False)
        room.beat(OLD + 2)
        assert await room.at(62.0) == {}
        assert set((await room.write(OLD + 2)).values()) == {Outcome.VERIFIED}
        assert await room.at(63.0) == {}
        assert room.modes == {ControlState.REMOTE}
        assert not room.guardian.is_writer


async def test_a_higher_epoch_in_a_device_is_overtaken_too(tmp_path: Path) -> None:
    async with watchroom(tmp_path) as room:
        n4 = room.plant.laboratory.converters["n4_converter"]
        n4.state = replace(n4.state, epoch=9)
        outcomes = await room.at(60.0)
        assert set(outcomes.values()) == {Outcome.VERIFIED}
        assert n4.state.epoch == 10
        takeover = read_takeover(room.state)
        assert takeover
        assert takeover.epoch == 10


@pytest.mark.parametrize("firmware", ["ring", "plain_epochs"])
async def test_the_last_epoch_keeps_nobody_from_releasing(tmp_path: Path, firmware: str) -> None:
    async with watchroom(tmp_path, opcua=True) as room:
        for station in room.plant.laboratory.converters.values():
            station.state = replace(station.state, epoch=LAST)
            if firmware == "plain_epochs":
                station.switch(firmware, on=True)
        await room.plant.advance(30.0)
        assert set((await room.at(60.0)).values()) == {Outcome.VERIFIED}
        assert (room.modes, room.epochs) == ({ControlState.SAFE}, {LAST if firmware == "plain_epochs" else OLD + 1})


async def test_without_a_heartbeat_the_devices_tell_the_epoch(tmp_path: Path) -> None:
    async with watchroom(tmp_path) as room:
        (room.state / "heartbeat.json").write_text("{")
        assert await room.at(1.0) == {}
        assert set((await room.at(61.0)).values()) == {Outcome.VERIFIED}
        assert (room.modes, room.epochs) == ({ControlState.SAFE}, {OLD + 1})


async def test_one_that_cannot_be_reached_delays_nobody_and_is_not_forgotten(tmp_path: Path) -> None:
    """Its port takes connections and says nothing; later it listens where it should."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with watchroom(tmp_path, moved={"n5_converter": port}) as room:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        outcomes = await room.at(60.0)
        assert loop.time() - began_s < 2.0
        assert outcomes == {"n3_converter": Outcome.VERIFIED, "n4_converter": Outcome.VERIFIED}
        modes = {name: c.state.mode.name for name, c in room.plant.laboratory.converters.items()}
        assert modes == {"n3_converter": "SAFE", "n4_converter": "SAFE", "n5_converter": "REMOTE"}
        while "n5_converter" not in outcomes:
            outcomes = await room.at(61.0)
        assert outcomes["n5_converter"] is Outcome.UNKNOWN
        begun = [w for w in room.audit if isinstance(w, AuditWrite) and w.outcome == "attempted"]
        assert [w.device for w in begun].count("n3_converter") == 1
        await room.at(135.0)
        while room.guardian._running:
            await room.at(136.0)
        lines = len(room.audit)
        await room.at(150.0)
        assert len(room.audit) == lines, "no longer tried: its lease has ended"
        assert room.modes == {ControlState.SAFE}
    server.close()
    await server.wait_closed()


async def test_it_is_tried_again_until_it_obeys(tmp_path: Path) -> None:
    async with watchroom(tmp_path) as room:
        n3 = room.plant.laboratory.station("n3_converter")
        n3.switch("ignore_writes", on=True)
        assert (await room.at(60.0))["n3_converter"] is Outcome.REJECTED
        assert (await room.at(61.0))["n3_converter"] is Outcome.REJECTED
        n3.switch("ignore_writes", on=False)
        assert set((await room.at(62.0)).values()) == {Outcome.VERIFIED}
        assert room.epochs == {OLD + 1}
        tried = [w.device for w in room.audit if isinstance(w, AuditWrite) and w.outcome == "attempted"]
        assert {name: tried.count(name) for name in tried} == {
            "n3_converter": 3,
            "n4_converter": 1,
            "n5_converter": 1,
        }


@pytest.mark.parametrize("room_bytes", [0, 300])
async def test_a_full_disk_keeps_nobody_from_the_safe_state(tmp_path: Path, room_bytes: int) -> None:
    async with watchroom(tmp_path) as room:
        with full_disk(room_bytes):
            assert set((await room.at(60.0)).values()) == {Outcome.VERIFIED}
        assert (room.modes, room.epochs) == ({ControlState.SAFE}, {OLD + 1})


@pytest.fixture
def held_open() -> Iterator[list[int]]:
    """Descriptors that are closed when the event loop of the test, and with it its threads, have ended."""
    descriptors: list[int] = []
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


async def test_a_disk_that_hangs_keeps_nobody_from_the_safe_state(tmp_path: Path, held_open: list[int]) -> None:
    """A pipe that nobody reads: whoever opens it waits, until somebody holds it open at the end of the test."""
    async with watchroom(tmp_path) as room:
        os.mkfifo(room.state / TRAIL)
        try:
            outcomes = await room.at(60.0)
            while len(outcomes) < 3:
                outcomes = await room.at(61.0)
        finally:
            held_open.append(os.open(room.state / TRAIL, os.O_RDWR))
        assert set(outcomes.values()) == {Outcome.VERIFIED}
        assert room.modes == {ControlState.SAFE}


async def test_a_state_folder_that_is_gone(tmp_path: Path) -> None:
    async with watchroom(tmp_path) as room:
        await room.at(1.0)
        shutil.rmtree(room.state)
        assert set((await room.at(60.0)).values()) == {Outcome.VERIFIED}
        assert room.modes == {ControlState.SAFE}


async def test_what_it_needs_is_tried_before(tmp_path: Path) -> None:
    config = load_config(CONFIG)
    clock = SteppedClock(START)
    for bad in (config.model_copy(update={"devices": ()}), without(config, Converter)):
        with pytest.raises(InputError, match="devices: got no converter; allowed: at least one converter"):
            await Guardian(GuardianSetup(bad, CONFIG, tmp_path), clock).check()
    elsewhere = GuardianSetup(config, tmp_path / "lab.yaml", tmp_path)
    with pytest.raises(InputError, match=r"converter_generic\.yaml"):
        await run_guardian(elsewhere, clock, asyncio.Event())
    assert any(isinstance(device, ModbusConverter) for device in config.devices)
