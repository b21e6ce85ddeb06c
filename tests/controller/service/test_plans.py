"""Which plan rules when, and what a journal gives back."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from controller.process.age import BootClock
from controller.process.clocks import SteppedClock
from controller.process.heartbeat import Released
from controller.record.journal import Journal
from controller.service.costs import Costs
from controller.service.days import Day, DayLoader
from controller.service.memory import KeptCycle, Memory, identity
from controller.service.plans import DatedPlan, Plans
from controller.service.setup import never
from core.config import Config
from core.load import load_config
from core.resources import Battery
from mpc.intra_day import RunningPlan
from mpc.margin import Margin
from realtime.emulation import BatteryState, InForce
from realtime.fallback import LadderState, Rung, Source
from realtime.node import NodeLimits, NodeState
from realtime.plane import ZERO, Power
from tests.support.coordination import uncoordinated
from tests.support.paths import CONFIG

CONFIGURED = load_config(CONFIG)


@pytest.fixture(scope="module")
def days() -> DayLoader:
    return DayLoader(CONFIGURED, CONFIG)


@pytest.fixture(scope="module")
def today(days: DayLoader) -> DatedPlan:
    return plan_of(days.load(date(2018, 6, 21)).day, "today")


@pytest.fixture(scope="module")
def tomorrow(days: DayLoader) -> DatedPlan:
    return plan_of(days.load(date(2018, 6, 22)).day, "tomorrow")


def plan_of(day: Day, name: str) -> DatedPlan:
    return DatedPlan(day, RunningPlan.of(uncoordinated(day.forecast, CONFIGURED.coordination)), 0.0, name)


def from_noon(plan: DatedPlan) -> DatedPlan:
    """What an MPC run at noon leaves."""
    running = plan.running
    rest = replace(
        running.plan,
        axis=running.plan.axis.after(72),
        prosumers={
            name: replace(p, **{k: v[72:] for k, v in vars(p).items() if hasattr(v, "shape")})
            for name, p in running.plan.prosumers.items()
        },
    )
    return replace(plan, running=replace(running, begins=72, plan=rest, v_pu=running.v_pu[72:]), plan_id="noon")


def at(plan: DatedPlan, hours: float) -> datetime:
    return plan.day.forecast.axis.start + timedelta(hours=hours)


def test_the_newest_plan_that_reaches_rules(today: DatedPlan) -> None:
    plans = Plans(from_noon(today), today)
    assert [getattr(plans.plan_at(at(today, h)), "plan_id", None) for h in (0, 11.9, 12, 23.9, 24)] == [
        "today", "today", "noon", "noon", None,
    ]  # fmt: skip


def test_a_clock_that_was_set_back_falls_back_on_the_day_ahead_plan(today: DatedPlan) -> None:
    targets = Plans(from_noon(today), today).targets("N3", at(today, 11.8), 60.0)
    assert targets.intraday is None
    assert targets.day_ahead is not None
    assert targets.day_ahead.age_s == 60.0


def test_targets_are_those_of_the_step(today: DatedPlan) -> None:
    offer = from_noon(today).offer("N3", at(today, 15), 0.0)
    assert offer is not None
    assert offer.target.p_kw == today.running.plan.prosumers["N3"].p_kw[90]
    assert from_noon(today).offer("nobody", at(today, 15), 0.0) is None


def test_midnight_turns_tomorrow_into_today(today: DatedPlan, tomorrow: DatedPlan) -> None:
    plans = Plans(from_noon(today), today, tomorrow)
    assert plans.advanced_to(at(today, 23.99)) == plans
    assert plans.advanced_to(at(today, 24)) == Plans(None, tomorrow, None)


def test_what_is_over_is_gone(today: DatedPlan, tomorrow: DatedPlan) -> None:
    """A service that slept over the weekend does not keep Friday's plan for tomorrow."""
    assert Plans(from_noon(today), today, tomorrow).advanced_to(at(today, 72)) == Plans()


def test_a_plan_that_is_no_improvement_only_warms_the_next_start(today: DatedPlan) -> None:
    worse = replace(today, running=replace(today.running, computed_for=5), plan_id="worse")
    assert not worse.running.adopted
    plans = Plans(None, today).with_intraday(worse)
    assert plans.intraday is None
    assert plans.day_ahead is not None
    assert (plans.day_ahead.plan_id, plans.day_ahead.running.computed_for) == ("today", 5)
    assert (plans.id_of(Source.DAY_AHEAD), plans.id_of(Source.INTRADAY), plans.id_of(Source.NONE)) == ("today", "", "")


NOW = datetime(2018, 6, 21, 10, tzinfo=UTC)


def memory(journal: Journal, now: datetime = NOW, owner: str = "this") -> Memory:
    clock = SteppedClock(NOW)
    if now < NOW:
        clock.jump((now - NOW).total_seconds())
    else:
        clock.advance_to((now - NOW).total_seconds())
    return Memory(journal, BootClock(clock, None, never), owner, durable=False)


def test_another_configuration_takes_up_nothing_but_the_epoch(
    tmp_path: Path, days: DayLoader, today: DatedPlan
) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        mine = memory(journal)
        mine = memory(journal)
        mine.keep_plans(Plans(None, today))
        mine.keep_cycle(KeptCycle(NOW, {"n3_converter": NodeState()}, Costs.none(NOW)), Margin.unlearned(8))
        assert mine.next_epoch(()) == 1
        assert memory(journal).plans(days) is not None
        other = memory(journal, owner="that")
        assert (other.plans(days), other.margin(), other.absence()) == (None, None, None)
        assert other.states({}, {}, stopped=True) == {}
        assert other.next_epoch(()) == 2
        assert other.next_epoch((7,)) == 8, "a device has seen a writer that this journal does not know"


def test_a_plan_of_a_clock_that_was_set_back_is_new(tmp_path: Path, days: DayLoader, today: DatedPlan) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        memory(journal)
        memory(journal).keep_plans(Plans(None, today))
        earlier = memory(journal, NOW - timedelta(hours=1))
        plans = earlier.plans(days)
        assert plans is not None
        assert plans.day_ahead is not None
        assert plans.day_ahead.made_s == 0.0, "neither refused as of the future, nor older than it is"


def test_what_the_guardian_saw_counts_only_if_it_is_of_this_absence(tmp_path: Path) -> None:
    battery = Battery(s_max_kva=2.5, energy_kwh=2.5, soc_initial=0.5, soc_min=0.1, soc_max=0.9)
    limits = {"n3_converter": NodeLimits("N3", battery, 15.0, 0.25)}
    running = InForce(1.0, 0.0, 0.0, Power(1.0, 0.0), 0.0)
    state = NodeState(BatteryState(0.5, battery_kw=1.0), LadderState(Rung.USE), running, sent=ZERO, cycle_s=0.0)
    with Journal(tmp_path / "journal.sqlite") as journal:
        memory(journal)
        memory(journal).keep_cycle(KeptCycle(NOW, {"n3_converter": state}, Costs.none(NOW)), Margin.unlearned(8))
        back = memory(journal, NOW + timedelta(seconds=70))
        told = {at_s: Released(NOW + timedelta(seconds=at_s), 0.0, 0.0, 0.0, 2) for at_s in (-30, 60, 80)}
        states = {
            at_s: back.states(limits, {"n3_converter": one}, stopped=False)["n3_converter"]
            for at_s, one in told.items()
        }
    unseen, closed = states[-30], states[60]
    assert states[80] == unseen
    assert (unseen.in_force, unseen.ladder.rung) == (running, Rung.USE)
    assert (closed.in_force, closed.ladder.rung) == (None, Rung.SAFE)
    assert closed.battery is not None
    assert closed.battery.soc == pytest.approx(0.5 - 60 / 3600 / 2.5)


@pytest.mark.parametrize(("stopped", "sent"), [(False, Power(1.0, 0.0)), (True, None)])
def test_who_left_active_has_released_what_was_sent(stopped: bool, sent: Power | None, tmp_path: Path) -> None:
    limits = {"n3_converter": NodeLimits("N3", None, 15.0, 0.25)}
    with Journal(tmp_path / "journal.sqlite") as journal:
        memory(journal)
        kept = KeptCycle(NOW, {"n3_converter": NodeState(sent=Power(1.0, 0.0), cycle_s=0.0)}, Costs.none(NOW))
        memory(journal).keep_cycle(kept, Margin.unlearned(8))
        back = memory(journal, NOW + timedelta(seconds=20))
        assert back.states(limits, {}, stopped=stopped)["n3_converter"].sent == sent


def test_plans_of_days_that_are_over_are_not_even_read(tmp_path: Path, days: DayLoader, today: DatedPlan) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        memory(journal)
        memory(journal).keep_plans(Plans(None, today))
        assert memory(journal, NOW + timedelta(days=5)).plans(days) == Plans()


def test_what_another_configuration_left_is_gone_for_good_but_the_epoch(
    tmp_path: Path, days: DayLoader, today: DatedPlan
) -> None:
    """A first start that fails before it has a plan must not hand the old state to the second."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        before = memory(journal, owner="another")
        before.keep_plans(Plans(None, today))
        before.keep_cycle(KeptCycle(NOW, {"N3": NodeState(sent=ZERO)}, Costs.none(NOW)), Margin.unlearned(8))
        assert before.next_epoch((7,)) == 8
        for start in ("first", "second"):
            now = memory(journal)
            assert now.absence() is None, start
            assert (now.plans(days), now.margin(), now.costs()) == (None, None, None), start
        assert memory(journal).next_epoch(()) == 9
        assert memory(journal, owner="another").plans(days) is None


def test_identity_is_that_of_grid_and_prosumers() -> None:
    other = CONFIGURED.model_copy(update={"prosumers": CONFIGURED.prosumers[:4]})
    assert identity(CONFIGURED) == identity(load_config(CONFIG)) != identity(other)


def test_a_key_at_its_default_does_not_change_the_identity() -> None:
    """So that a version that knows one key more takes up what the one before it left."""
    battery = CONFIGURED.prosumers[0].battery
    assert battery is not None

    def with_battery(**values: float) -> Config:
        first = CONFIGURED.prosumers[0].model_copy(update={"battery": battery.model_copy(update=values)})
        return CONFIGURED.model_copy(update={"prosumers": (first, *CONFIGURED.prosumers[1:])})

    assert identity(with_battery(efficiency=1.0)) == identity(CONFIGURED) != identity(with_battery(efficiency=0.9))
