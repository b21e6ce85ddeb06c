"""The jobs of a planner, the margin they are made with, what is refused of its answers, and the prices of a plan."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from controller.planner.planner import PlannerError
from controller.service.days import DayLoader
from controller.service.margins import learn_margin, margin_pu
from controller.service.observation import IntervalMeans
from controller.service.planner_answers import ABSURD, check_ratings, plan_id
from controller.service.planner_jobs import PlannerJobs, PlanningInputs
from controller.service.plans import DatedPlan, Plans
from controller.service.prices import Price, prices_at
from core.load import load_config
from mpc.forecast import Observed
from mpc.intra_day import RunningPlan
from mpc.margin import COLD_START_PU, COLD_START_SHARE, Margin
from tests.support.coordination import uncoordinated
from tests.support.paths import CONFIG

CONFIGURED = load_config(CONFIG)
DAY = DayLoader(CONFIGURED, CONFIG).load(date(2018, 6, 21)).day
PLAN = DatedPlan(DAY, RunningPlan.of(uncoordinated(DAY.forecast, CONFIGURED.coordination)), 5.0, "selfish")
PLANS, UNLEARNED = Plans(None, PLAN), Margin.unlearned(8)
JOBS = PlannerJobs(CONFIGURED, coordinate=True)


def at(hours: float) -> datetime:
    return DAY.forecast.axis.start + timedelta(hours=hours)


def seen(*v_pu: float | None, q_kvar: float | None = None) -> IntervalMeans:
    return IntervalMeans({"N3": Observed(1.0, 2.0, 3.0, soc=0.4)}, 1.01, q_kvar, v_pu, cycles=20)


def test_a_day_begins_with_the_charge_that_is_asked_for_also_outside_the_band_that_is_left() -> None:
    job = JOBS.day_ahead(DAY, {"N3": 0.7, "N4": 0.0, "N5": 1.0}, UNLEARNED)
    batteries = {site.name: site.battery for site in job.scenario.sites}
    begins = {name: battery.soc_initial for name, battery in batteries.items() if battery}
    n4, n5 = batteries["N4"], batteries["N5"]
    assert n4 is not None
    assert n5 is not None
    assert begins == {"N3": 0.7, "N4": 0.0, "N5": 1.0, "N7": 0.5, "N9": 0.5}
    assert 0.1 < n4.soc_min < n4.soc_max < 0.9, "the 30 s layer keeps a reserve at both ends"
    assert job.scenario.margin_pu == pytest.approx(COLD_START_PU)


def test_the_rest_of_a_day_is_planned_from_what_was_seen_and_what_was_not_from_the_forecast() -> None:
    known = PlanningInputs(at(12), DAY, {"N3": 0.6, "N4": None}, seen(*[1.0] * 8), PLAN)
    job = JOBS.replan(known, UNLEARNED)
    outlook = {site.name: site.outlook for site in DAY.forecast.sites}["N4"]
    assert (job.step, job.slack_voltage_pu, job.running) == (72, 1.01, PLAN.running)
    assert job.observed["N3"] == Observed(1.0, 2.0, 3.0, soc=0.6)
    assert job.observed["N4"] == Observed(
        outlook.load_kw[72], outlook.load_kvar[72], outlook.pv_available_kw[72], soc=None
    )
    assert job.observed["N5"].soc == 0.5
    nothing = JOBS.replan(PlanningInputs(at(12), DAY, {}, None, None), UNLEARNED)
    assert (nothing.slack_voltage_pu, nothing.running) == (DAY.forecast.slack_voltage_pu[72], None)


def test_an_unmeasured_node_learns_the_worst_deviation() -> None:
    planned = PLAN.running.voltages_pu(72)
    measured = [float(v) + 0.001 * k for k, v in enumerate(planned)]
    margin = learn_margin(UNLEARNED, at(12), seen(None, *measured[1:]), PLANS)
    assert margin.deviations_pu == pytest.approx(np.array([[0.007, *0.001 * np.arange(1, 8)]]))


def test_without_a_plan_or_a_meter_nothing_is_learned() -> None:
    assert learn_margin(UNLEARNED, at(12), seen(*[1.0] * 8), Plans()) is UNLEARNED
    assert learn_margin(UNLEARNED, at(-1), seen(*[1.0] * 8), PLANS) is UNLEARNED
    assert learn_margin(UNLEARNED, at(12), seen(*[None] * 8), PLANS) is UNLEARNED


def test_reactive_power_learns_from_its_own_meter() -> None:
    """Also where no voltage was measured; a plan of an older journal does not say what it expected."""
    planned_kvar = PLAN.running.reactive_kvar(72)
    assert planned_kvar is not None
    margin = learn_margin(UNLEARNED, at(12), seen(*[None] * 8, q_kvar=planned_kvar - 0.25), PLANS)
    assert (margin.deviations_kvar, len(margin.deviations_pu)) == (pytest.approx(np.array([0.25])), 0)
    older = Plans(None, replace(PLAN, running=replace(PLAN.running, slack_q_kvar=None)))
    assert learn_margin(UNLEARNED, at(12), seen(*[None] * 8, q_kvar=1.0), older) is UNLEARNED


LIMIT_KVAR = CONFIGURED.limits.limits().slack_q_max_kvar


@pytest.mark.parametrize(
    ("asked", "learned", "kvar"),
    [
        ("auto", UNLEARNED, COLD_START_SHARE * LIMIT_KVAR),
        ("auto", Margin(UNLEARNED.deviations_pu, np.full(144, 100.0)), LIMIT_KVAR / 2),
        ("off", UNLEARNED, 0.0),
        (0.4, UNLEARNED, 0.4),
    ],
    ids=["cold", "a meter that lies", "off", "fixed"],
)
def test_plans_keep_the_margin_of_reactive_power(asked: str | float, learned: Margin, kvar: float) -> None:
    limits = CONFIGURED.limits.model_copy(update={"reactive_margin": asked})
    jobs = PlannerJobs(CONFIGURED.model_copy(update={"limits": limits}), coordinate=True)
    assert jobs.day_ahead(DAY, {}, learned).scenario.reactive_margin_kvar == pytest.approx(kvar)


@pytest.mark.parametrize(("asked", "pu"), [("auto", COLD_START_PU), ("off", 0.0), (0.01, 0.01)])
def test_the_configuration_may_fix_the_margin(asked: str | float, pu: float) -> None:
    assert margin_pu(CONFIGURED.limits.model_copy(update={"margin": asked}), UNLEARNED) == pytest.approx(pu)


@pytest.mark.parametrize("p_kw", [15.0 * ABSURD + 0.1, float("nan")])
def test_no_plan_may_ask_a_converter_for_twice_its_rating(p_kw: float) -> None:
    plan, rated = PLAN.running.plan, dict.fromkeys(PLAN.running.plan.prosumers, 15.0)
    check_ratings(PLAN.running, rated)
    absurd = replace(plan.prosumers["N5"], p_kw=np.full(144, p_kw))
    running = replace(PLAN.running, plan=replace(plan, prosumers={**plan.prosumers, "N5": absurd}))
    with pytest.raises(PlannerError, match=r"N5: .* kVA, its converter has 15 kVA"):
        check_ratings(running, rated)


def test_a_plan_is_named_by_the_local_time() -> None:
    assert plan_id("mpc", at(12), DAY) == "mpc 2018-06-21T12:00:00+02:00"


def test_prices_are_those_of_the_step_and_of_nobody_without_a_plan() -> None:
    tariff = DAY.forecast.tariff
    price = prices_at(PLANS, at(12.1))["N3"]
    buy, sell = float(tariff.buy_chf_per_kwh[72]), float(tariff.sell_chf_per_kwh[72])
    assert price == Price(buy, sell, PLAN.running.prices_chf_per_kwh(72)["N3"], 0.0)
    assert (price.rate_chf_per_h(2.0), price.rate_chf_per_h(-2.0)) == (2 * buy, -2 * sell)
    assert prices_at(PLANS, at(24)) == {}


def test_the_age_and_the_charge_are_those_of_the_plan_in_force() -> None:
    soc = PLAN.running.plan.prosumers["N3"].soc
    assert soc is not None
    assert PLANS.soc_at(at(12))["N3"] == soc[71]
    assert PLANS.soc_at_end()["N3"] == soc[-1]
    assert (PLANS.soc_at(at(0.1)), PLANS.soc_at(at(24)), Plans().soc_at_end()) == ({}, {}, {})
    assert (PLANS.age_s(at(12), 65.0), PLANS.age_s(at(24), 65.0)) == (60.0, None)
