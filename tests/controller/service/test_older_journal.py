"""A journal that version 1 of the records wrote in a run of one hour is taken up: plans, margin and memory.

tests/cases/journal_of_version_1 has the configuration, the journal and the plan.csv of that run.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from controller.process.age import BootClock
from controller.process.clocks import SteppedClock
from controller.record.journal import Journal
from controller.service.days import DayLoader
from controller.service.memory import KeptCycle, Memory, identity
from controller.service.older_journal import identity_of_version_1, upgraded_cycle, upgraded_margin, upgraded_plans
from controller.service.plans import Plans
from controller.service.setup import never, node_limits
from core.codec import decode, encode
from core.config import Config
from core.load import load_config
from realtime.emulation import InForce
from realtime.plane import ZERO
from realtime.slope import NO_CORRECTION
from realtime.tracker import LoadAndPv
from tests.support.paths import ROOT

CASE = ROOT / "tests" / "cases" / "journal_of_version_1"
NOON = datetime(2018, 6, 21, 10, 0, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(CASE / "lab.yaml")


@pytest.fixture(scope="module")
def days(config: Config) -> DayLoader:
    return DayLoader(config, CASE / "lab.yaml")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(shutil.copy(CASE / "journal.sqlite", tmp_path))


def memory(journal: Journal, config: Config, older_owner: str) -> Memory:
    clock = BootClock(SteppedClock(NOON), None, never)
    return Memory(journal, clock, identity(config), durable=False, older_owner=older_owner)


def check_plans(plans: Plans | None) -> None:
    """The day-ahead plan is the one that the run wrote, the other is what is left of it at eleven."""
    assert plans is not None
    assert plans.intraday is not None
    assert plans.day_ahead is not None
    written = pd.read_csv(CASE / "plan.csv")
    for name, plan in plans.day_ahead.running.plan.prosumers.items():
        own = written[written.prosumer == name]
        for column in ("p_kw", "q_kvar", "battery_kw", "battery_kvar", "pv_kw", "pv_available_kw", "load_kw"):
            np.testing.assert_allclose(getattr(plan, column), own[column], rtol=1e-9, atol=1e-12)
    a, b = (plans.day_ahead.running.plan.prosumers[name] for name in "AB")
    assert a.soc is not None
    np.testing.assert_allclose(a.soc, written[written.prosumer == "A"].soc, rtol=1e-9)
    assert a.battery_kw.any()
    assert (list(a.resources), list(b.resources), b.soc) == (["battery", "pv", "load"], ["load"], None)
    assert plans.intraday.running.begins == 11
    assert len(plans.intraday.running.plan.prosumers["A"].battery_kw) == 13


def test_plans_margin_and_memory_are_resumed(path: Path, config: Config, days: DayLoader) -> None:
    with Journal(path) as journal:
        kept = memory(journal, config, identity_of_version_1(config))
        check_plans(kept.plans(days))
        assert kept.costs() is not None
        assert kept.margin() is not None
        battery = kept.states(node_limits(config), {}, stopped=True)["a_converter"].battery
        assert battery is not None
        assert 0.1 < battery.soc < 0.9
        assert kept.next_epoch(()) == 2
        assert kept.damaged == ()


def test_the_next_start_finds_a_journal_of_today(path: Path, config: Config, days: DayLoader) -> None:
    with Journal(path) as journal:
        first = memory(journal, config, identity_of_version_1(config))
        plans = first.plans(days)
        assert plans is not None
        first.keep_plans(plans)
        again = memory(journal, config, older_owner="")
        check_plans(again.plans(days))
        assert upgraded_plans(journal.get("plans")) == journal.get("plans")


def test_a_journal_of_another_configuration_is_not(path: Path, config: Config, days: DayLoader) -> None:
    other = config.model_copy(update={"prosumers": config.prosumers[:1]})
    with Journal(path) as journal:
        assert memory(journal, other, identity_of_version_1(other)).plans(days) is None


def test_what_was_kept_by_prosumer_is_kept_by_converter(path: Path) -> None:
    with Journal(path) as journal:
        kept = journal.get("cycle")
    assert isinstance(kept, dict)
    assert set(kept["states"]) == {"A", "B"}
    today = upgraded_cycle(kept, {"A": "a_converter"})
    assert isinstance(today, dict)
    assert set(today["states"]) == {"a_converter", "B"}, "B has several converters now, or none"
    was, now = kept["states"]["A"]["ladder"], today["states"]["a_converter"]["ladder"]
    assert now == {"rung": was["mode"], "fresh_polls": was["fresh_polls"]}
    assert (today["at"], today["costs"]) == (kept["at"], kept["costs"])
    assert upgraded_cycle(today, {"a_converter": "elsewhere"}) == today
    for other in (None, [], {"states": 1}, {"states": {"A": 1}}):
        assert upgraded_cycle(other, {}) == other


def test_a_journal_from_before_reactive_power_had_a_margin(path: Path, config: Config, days: DayLoader) -> None:
    with Journal(path) as journal:
        kept = memory(journal, config, identity_of_version_1(config))
        plans, margin = kept.plans(days), kept.margin()
        assert plans is not None
        assert plans.day_ahead is not None
        assert plans.day_ahead.running.slack_q_kvar is None
        assert margin is not None
        assert margin.deviations_kvar.size == 0
    learned = {"deviations_pu": 1, "deviations_kvar": 2}
    assert upgraded_margin(learned) == learned, "what is there stays"


def test_a_journal_from_before_voltage_slopes_asks_for_none(path: Path, config: Config, days: DayLoader) -> None:
    with Journal(path) as journal:
        kept = memory(journal, config, identity_of_version_1(config))
        plans, states = kept.plans(days), kept.states(node_limits(config), {}, stopped=True)
        assert plans is not None
        assert plans.day_ahead is not None
        agreed = plans.day_ahead.running.plan.agreements.values()
        assert {agreement.signal.slope for agreement in agreed} == {None}
        assert {state.correction for state in states.values()} == {NO_CORRECTION}
        cycle = upgraded_cycle(journal.get("cycle"), {})
    assert isinstance(cycle, dict)
    moved = {**cycle["states"]["A"], "correction": {"w_pu": 0.02, "seen_s": 1.0}}
    assert upgraded_cycle({"states": {"A": moved}}, {}) == {"states": {"A": moved}}, "what is there stays"


def test_a_journal_from_before_pv_had_reactive_power_has_one_plant(path: Path) -> None:
    amounts, in_force = encode(LoadAndPv(1.0, 0.2, 4.0)), encode(InForce(1.0, 0.2, 4.0, ZERO, 0.0))
    assert isinstance(amounts, dict)
    assert isinstance(in_force, dict)
    older = {name: value for name, value in in_force.items() if name not in ("pv_kvar", "pv_split")}
    with Journal(path) as journal:
        cycle = upgraded_cycle(journal.get("cycle"), {})
    assert isinstance(cycle, dict)
    whole = {name: value for name, value in amounts.items() if name != "split"}
    state = {**cycle["states"]["A"], "amounts": whole, "in_force": older}
    upgraded = decode(KeptCycle, upgraded_cycle({**cycle, "states": {"A": state}}, {}))
    assert upgraded.states["A"].amounts == LoadAndPv(1.0, 0.2, 4.0)
    assert upgraded.states["A"].in_force == InForce(1.0, 0.2, 4.0, ZERO, 0.0)


@pytest.mark.parametrize("kept", [None, [], {"intraday": None}, {"intraday": {"running": 1}}, {"intraday": {"a": {}}}])
def test_what_is_no_plan_is_left_to_the_reader(kept: object) -> None:
    assert upgraded_plans(kept) == kept
