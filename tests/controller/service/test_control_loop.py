"""The cycle over real sockets when devices misbehave: a plant of three converters in the same process."""

import asyncio
from dataclasses import replace
from math import hypot
from pathlib import Path

import pytest

from controller.process.clocks import WallClock
from controller.process.failures import RecordError
from controller.process.follower import at_addresses
from controller.record.audit_lines import AuditWrite, read_audit
from controller.service.days import Day
from controller.service.plans import Plans
from controller.service.watch import Watch
from core.devices import Outcome, Quality
from drivers.factory import DriverSettings, connect
from realtime.cycle import GuardianRelease
from realtime.override import Override
from realtime.timing import POLL_S
from sim_plant.plant import open_plant
from sim_plant.reports import address
from sim_plant.settings import plant_config
from tests.support.paths import CONFIG
from tests.support.service_bench import bench, midsummer, modbus_only, rungs, selfish_plans

CONVERTERS = ("n3_converter", "n4_converter", "n5_converter")


@pytest.fixture(scope="module")
def day() -> Day:
    return midsummer()


@pytest.fixture(scope="module")
def plans() -> Plans:
    return selfish_plans()


async def test_a_converter_in_local_is_left_alone_and_rejoins(tmp_path: Path, day: Day, plans: Plans) -> None:
    async with bench(tmp_path, day, plans) as lab:
        cycles = [await lab.cycle() for _ in range(3)]
        assert [rungs(cycle) for cycle in cycles] == [["safe"] * 3, ["safe"] * 3, ["use"] * 3]
        assert set(cycles[-1].outcomes.values()) == {Outcome.VERIFIED}
        n4 = lab.plant.laboratory.station("n4_converter")
        n4.switch("local", on=True)
        taken = await lab.cycle()
        assert rungs(taken) == ["use", "safe", "use"]
        assert set(taken.outcomes) == {"n3_converter", "n5_converter"}
        n4.switch("local", on=False)
        assert [rungs(await lab.cycle())[1] for _ in range(4)] == ["safe", "safe", "use", "use"]
        assert lab.plant.laboratory.recorder.tally.violations.total() == 0


@pytest.mark.parametrize(("epoch", "ramp_s"), [(0, 0.4), (7, 0.0)], ids=["by the guardian", "somebody else since"])
async def test_out_of_the_safe_state_by_the_ramp_since_the_release(
    epoch: int, ramp_s: float, tmp_path: Path, day: Day, plans: Plans
) -> None:
    """Loads at midnight are more than 0.1 kVA."""
    released = dict.fromkeys(("n3_converter", "n4_converter"), GuardianRelease(-0.4, epoch))
    async with bench(tmp_path, day, plans, released=released) as lab:
        first = await lab.cycle()
        told = {name: node.setpoint for name, node in first.result.nodes.items() if node.setpoint}
        moved = {name: hypot(setpoint.p_kw, setpoint.q_kvar) for name, setpoint in told.items()}
        assert moved == pytest.approx({"N3": 0.25 * ramp_s, "N4": 0.25 * ramp_s, "N5": 0.0}, abs=4e-3)
        assert set(first.outcomes.values()) == {Outcome.VERIFIED}
        assert lab.plant.laboratory.recorder.tally.violations.total() == 0


async def test_a_converter_that_ignores_writes_is_rejected_and_nobody_else(
    tmp_path: Path, day: Day, plans: Plans
) -> None:
    async with bench(tmp_path, day, plans) as lab:
        for _ in range(3):
            await lab.cycle()
        before = lab.loop.state["n3_converter"].in_force
        lab.plant.laboratory.station("n3_converter").switch("ignore_writes", on=True)
        cycle = await lab.cycle()
        assert cycle.outcomes == {
            "n3_converter": Outcome.REJECTED,
            "n4_converter": Outcome.VERIFIED,
            "n5_converter": Outcome.VERIFIED,
        }
        assert lab.loop.state["n3_converter"].in_force == before
        last = [line for line in read_audit(lab.audit) if isinstance(line, AuditWrite)][-3:]
        assert [line.outcome for line in last] == ["rejected", "verified", "verified"]


@pytest.mark.parametrize("converter", ["n3_converter", "n5_converter"])
async def test_the_same_setpoint_is_rejected_where_it_was_ignored_5_s_after_the_last_one(
    converter: str, tmp_path: Path, day: Day, plans: Plans
) -> None:
    """As after a restart; nothing but the lease tells."""
    async with bench(tmp_path, day, plans) as lab:
        lab.loop.overrides = {name: Override(1.0, 0.0, 1e6) for name in CONVERTERS}
        for _ in range(3):
            await lab.cycle()
        lab.plant.laboratory.station(converter).switch("ignore_writes", on=True)
        cycle = await lab.cycle(after_s=POLL_S)
        told = {node.setpoint.p_kw for node in cycle.result.nodes.values() if node.setpoint}
        assert told == {1.0}
        rejected = {name for name, outcome in cycle.outcomes.items() if outcome is Outcome.REJECTED}
        assert rejected == {converter}


async def test_what_cannot_be_audited_is_not_written_but_released(tmp_path: Path, day: Day, plans: Plans) -> None:
    async with bench(tmp_path, day, plans) as lab:
        for _ in range(3):
            await lab.cycle()
        frames = lab.plant.laboratory.recorder.tally.frames.total()
        lab.loop._writer._audit.__exit__(None, None, None)
        with pytest.raises(RecordError):
            await lab.cycle()
        assert lab.plant.laboratory.recorder.tally.frames.total() == frames
        assert set((await lab.loop.release("stop")).values()) == {Outcome.VERIFIED}
        assert {c.state.mode.name for c in lab.plant.laboratory.converters.values()} == {"SAFE"}


async def test_a_device_whose_clock_stands_is_stale(tmp_path: Path, day: Day, plans: Plans) -> None:
    async with bench(tmp_path, day, plans) as lab:
        for _ in range(3):
            await lab.cycle()
        lab.plant.laboratory.station("n5_converter").switch("frozen", on=True)
        modes = []
        for _ in range(3):
            cycle = await lab.cycle()
            modes.append(rungs(cycle))
        assert modes == [["use", "use", "hold"], ["use", "use", "safe"], ["use", "use", "safe"]]
        assert cycle.image.quality["n5_converter"] is Quality.STALE
        assert cycle.image.age_s["n5_converter"] == 90.0
        assert cycle.image.age_s["n3_converter"] == 0.0


async def test_a_device_that_never_answers_delays_nobody(tmp_path: Path, day: Day, plans: Plans) -> None:
    """Its port takes connections and says nothing; the poll waits a second, not for its deadline."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    config, start = modbus_only(), day.forecast.axis.start
    async with open_plant(replace(plant_config(config, CONFIG, start), free_ports=True)) as plant:
        addresses = {device.name: dict(address(device)) for device in plant.devices}
        addresses["n5_converter"]["port"] = port
        here, clock = at_addresses(config, addresses), WallClock()
        async with connect(here.devices, DriverSettings(CONFIG.parent, 400.0, clock), writer_epoch=None) as devices:
            watch = Watch(devices, clock, clock, patience_s=1.0)
            began_s = clock.monotonic_s()
            await watch.poll()
            assert clock.monotonic_s() - began_s < 1.5
            quality = watch.image().quality
            await watch.close()
    server.close()
    await server.wait_closed()
    assert {name for name, found in quality.items() if found is not Quality.GOOD} == {"n5_converter"}
