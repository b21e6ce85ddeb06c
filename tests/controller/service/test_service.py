"""The service over midnight, in virtual time, on a plant in the same process but behind real sockets."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from math import hypot
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from controller.process.clocks import SteppedClock, WallClock
from controller.process.follower import at_addresses
from controller.process.heartbeat import Released, Takeover
from controller.process.modes import Mode
from controller.record.audit_lines import AuditWrite, read_audit
from controller.record.reading import reading
from controller.record.records import CycleRecord
from controller.service.service import Service
from controller.service.setup import Setup
from core.errors import GridlabError
from core.load import load_config
from sim_plant.plant import Plant, open_plant
from sim_plant.reports import address
from sim_plant.settings import plant_config
from tests.support.guardians import STANDING_S, living_guardian
from tests.support.paths import CONFIG

CONVERTERS = tuple(f"n{k}_converter" for k in (3, 4, 5, 7, 9))
EVENING = datetime(2018, 6, 21, 23, 50, tzinfo=ZoneInfo("Europe/Zurich"))


@asynccontextmanager
async def evening(
    folder: Path, start: datetime = EVENING, **telemetry: float
) -> AsyncIterator[tuple[Service, SteppedClock, Plant]]:
    """Everything ready ten minutes before midnight, or at another time."""
    config = load_config(CONFIG)
    config = config.model_copy(update={"telemetry": config.telemetry.model_copy(update=telemetry)})
    async with open_plant(replace(plant_config(config, CONFIG, start), free_ports=True)) as plant:
        here = at_addresses(config, {device.name: address(device) for device in plant.devices})
        clock = SteppedClock(start)
        setup = Setup(here, CONFIG, folder, folder, patience_s=6.0, guardian_s=STANDING_S)
        async with living_guardian(setup, clock), Service(setup, clock, WallClock()) as service:
            yield service, clock, plant


async def cycles(count: int, service: Service, clock: SteppedClock, plant: Plant) -> CycleRecord:
    """The first ones; what the last has left."""
    for k in range(count):
        clock.advance_to(30.0 * k)
        await plant.advance(30.0 * k)
        record = await service.cycle()
    assert record is not None
    return record


async def test_over_midnight(tmp_path: Path) -> None:
    async with evening(tmp_path) as (service, clock, plant):
        await service.set_mode(Mode.ACTIVE)
        await service.tomorrow()
        ends = service.planning.plans.soc_at(EVENING)
        tomorrow = service.planning.plans.tomorrow
        assert tomorrow is not None
        assert (tomorrow.day.date.day, tomorrow.day.data_of.day) == (22, 21)
        rungs = []
        for k in range(44):
            clock.advance_to(30.0 * k)
            await plant.advance(30.0 * k)
            record = await service.cycle()
            assert record is not None
            rungs.append({prosumer.rung for prosumer in record.prosumers.values()})
            if k == 20:
                service.adopt(await service.replan())
        assert rungs[2:] == [{"use"}] * 42
        plans = service.planning.plans
        assert service.planning.day.date.day == 22
        assert (plans.tomorrow, plans.day_ahead) == (None, tomorrow)
        assert plans.intraday is not None
        assert plans.intraday.running.begins == 0
        assert set(ends) == {"N3", "N4", "N5", "N7", "N9"}
        outcomes = await service.set_mode(Mode.OFF)
        assert set(outcomes.values()) == {"verified"}
        assert plant.laboratory.recorder.tally.violations.total() == 0


async def test_tomorrow_begins_with_the_charge_that_today_ends_with(tmp_path: Path) -> None:
    async with evening(tmp_path) as (service, _, _):
        await service.tomorrow()
        today, tomorrow = service.planning.plans.day_ahead, service.planning.plans.tomorrow
        assert today is not None
        assert tomorrow is not None
        for name, plan in tomorrow.running.plan.prosumers.items():
            last = today.running.plan.prosumers[name].soc
            assert plan.soc is not None
            assert last is not None
            begins = plan.soc[0] + plan.battery_kw[0] / 6 / 2.5
            assert begins == pytest.approx(last[-1], abs=1e-6)


async def test_a_restart_takes_up_plans_margin_and_charge(tmp_path: Path) -> None:
    async with evening(tmp_path) as (service, clock, plant):
        await service.set_mode(Mode.ACTIVE)
        await cycles(5, service, clock, plant)
        service.adopt(await service.replan())
        plans, states = service.planning.plans, dict(service.states)
        margin = service.planning.margin.margin_pu
    async with evening(tmp_path) as (again, clock, _):
        assert not again.planning.due(clock.now())
        assert again.planning.day_ahead is None, "nothing was computed anew"
        kept = again.planning.plans.intraday
        assert plans.intraday is not None
        assert kept is not None
        assert kept.plan_id == plans.intraday.plan_id
        assert kept.running.computed is None
        for name, profile in plans.intraday.running.plan.prosumers.items():
            assert (kept.running.plan.prosumers[name].p_kw == profile.p_kw).all()
        for name, state in states.items():
            assert again.states[name].battery is not None
            assert again.states[name].battery.soc == state.battery.soc
        assert (again.planning.margin.margin_pu == margin).all()


async def test_every_ten_minutes_have_one_mpc_run_late_where_nobody_was_there(tmp_path: Path) -> None:
    async with evening(tmp_path, EVENING.replace(hour=12)) as (service, clock, _):
        planned = []
        for minute in (3, 4, 9, 10, 10.5, 19, 25, 29, 41):
            clock.advance_to(60.0 * minute)
            if service.planning.due(clock.now()):
                service.adopt(await service.replan())
                planned.append(minute)
        assert planned == [3, 10, 25, 41]
    async with evening(tmp_path, EVENING.replace(hour=13, minute=35)) as (again, clock, _):
        assert not again.planning.due(clock.now()), "that of 13:31 is of these ten minutes"
        assert again.planning.due(clock.now() + timedelta(minutes=5))


@pytest.mark.parametrize(("boot", "ramp_s"), [(None, 0.4), ("another boot", 0.0)])
async def test_out_of_a_release_by_the_guardian_the_ramp_counts_from_it(
    boot: str | None, ramp_s: float, tmp_path: Path
) -> None:
    """No clock of another boot can be compared with ours."""
    noon = EVENING.replace(hour=12)
    released = dict.fromkeys(CONVERTERS, Released(noon, 1.0, 0.0, -0.4, 0))
    Takeover(0, 0, noon, {}, released, boot).write(tmp_path)
    async with evening(tmp_path, noon) as (service, clock, plant):
        await service.set_mode(Mode.ACTIVE)
        record = await cycles(1, service, clock, plant)
        moved = [hypot(p.p_setpoint_kw, p.q_setpoint_kvar) for p in record.prosumers.values()]
        assert moved == pytest.approx([0.25 * ramp_s] * 5, abs=4e-3)
        assert plant.laboratory.recorder.tally.violations.total() == 0


async def test_in_monitor_everything_is_decided_and_nothing_written(tmp_path: Path) -> None:
    async with evening(tmp_path) as (service, clock, plant):
        await service.set_mode(Mode.MONITOR)
        record = await cycles(4, service, clock, plant)
        assert {p.rung for p in record.prosumers.values()} == {"use"}
        assert plant.laboratory.recorder.tally.frames.total() == 0
        assert all(state.in_force is None for state in service.states.values())
        assert service.check is not None
        assert not service.check.doubtful
        await service.set_mode(Mode.OFF)
        assert await service.cycle() is None


async def test_a_disk_that_fills_up_costs_telemetry_not_control(tmp_path: Path) -> None:
    beyond_mb = 10 * shutil.disk_usage(tmp_path).total / 1e6
    async with evening(tmp_path, reserve_mb=beyond_mb) as (service, clock, plant):
        await service.set_mode(Mode.ACTIVE)
        record = await cycles(5, service, clock, plant)
        assert {prosumer.rung for prosumer in record.prosumers.values()} == {"use"}
        assert ("telemetry", "lost") in {(alarm.place, alarm.kind) for alarm in record.alarms}
        kept = [line for line in read_audit(tmp_path / "audit.jsonl") if isinstance(line, AuditWrite)]
        assert kept[-1].outcome == "verified"
    with reading(tmp_path / "telemetry.sqlite") as telemetry:
        assert telemetry.execute("SELECT count(*) FROM service").fetchone() == (0,)


async def test_the_margin_learns_nothing_from_a_plan_that_nobody_follows(tmp_path: Path) -> None:
    async with evening(tmp_path) as (service, clock, plant):
        await service.set_mode(Mode.MONITOR)
        await cycles(22, service, clock, plant)
        assert len(service.planning.margin.deviations_pu) == 0


async def test_the_margin_learns_from_whole_intervals_only(tmp_path: Path) -> None:
    """What is left of an interval after a restart is none, nor are cycles in quick succession at its end."""
    async with evening(tmp_path, EVENING.replace(hour=12)) as (service, clock, plant):
        await service.set_mode(Mode.ACTIVE)

        async def learned(*times_s: float) -> int:
            for at_s in times_s:
                clock.advance_to(at_s)
                await plant.advance(at_s)
                await service.cycle()
            return len(service.planning.margin.deviations_pu)

        assert await learned(190.0, 200.0, 210.0, *np.arange(220.0, 600.0, 60.0)) == 0, "part of one"
        assert await learned(600.0, 605.0, 610.0, *np.arange(630.0, 1200.0, 60.0)) == 0, "not over yet"
        assert await learned(1200.0, 1205.0, 1210.0, *np.arange(1230.0, 1800.0, 60.0)) == 1
        assert await learned(1830.0, *np.arange(1860.0, 2400.0, 60.0), 2400.0) == 1, "none at its end, a part"
        clock.jump(-3600.0)
        assert await learned(*np.arange(2430.0, 3000.0, 60.0)) == 1
        clock.jump(3600.0)
        assert await learned(3000.0, *np.arange(3030.0, 3601.0, 30.0)) == 2


async def test_a_service_that_stops_takes_no_other_order(tmp_path: Path) -> None:
    async with evening(tmp_path) as (service, _, plant):
        await service.close()
        with pytest.raises(GridlabError, match="it is stopping"):
            await service.set_mode(Mode.ACTIVE)
        assert plant.laboratory.recorder.tally.frames.total() == 0


async def test_a_writer_begins_above_what_the_devices_know(tmp_path: Path) -> None:
    async with evening(tmp_path) as (service, clock, plant):
        for station in plant.laboratory.converters.values():
            station.claim(41)
        await plant.advance(0.0)
        await service.set_mode(Mode.ACTIVE)
        clock.advance_to(30.0)
        await plant.advance(30.0)
        await service.cycle()
        assert {c.state.epoch for c in plant.laboratory.converters.values()} == {42}
        assert plant.laboratory.recorder.tally.violations.total() == 0
