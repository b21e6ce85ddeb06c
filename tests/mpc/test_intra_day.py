"""The shrinking horizon: what is left of the day, warm starts, and plans that never get worse."""

from dataclasses import replace

import numpy as np
import pytest

from core.config_coordination import CoordinationConfig
from core.scenario import Scenario
from mpc.coordination.outcome import CoordinationStatus
from mpc.day_ahead import CoordinatedDay
from mpc.forecast import Observed, remaining
from mpc.grid.rows import GridModel
from mpc.intra_day import RunningPlan, Situation, replan, replan_uncoordinated
from mpc.margin import COLD_START_PU, COLD_START_SHARE, REACTIVE_POWER, VOLTAGE, Margin
from tests.support.coordination import coordinate, uncoordinated
from tests.support.synthetic import scenario
from tests.support.virtual_clock import VirtualClock

STEP = 20


@pytest.fixture(scope="module")
def day() -> Scenario:
    return scenario(n_nodes=15, n_prosumers=5)


@pytest.fixture(scope="module")
def running(day: Scenario) -> RunningPlan:
    return RunningPlan.of(coordinate(day, CoordinationConfig(), VirtualClock()))


def as_planned(day: Scenario, running: RunningPlan, step: int, load_factor: float = 1.0) -> dict[str, Observed]:
    """Everything came as forecast up to ``step``, but for the load of the last interval."""
    seen = {}
    for site in day.sites:
        soc = running.plan.prosumers[site.name].soc
        assert soc is not None
        outlook = site.outlook
        load_kw, load_kvar = load_factor * outlook.load_kw[step], load_factor * outlook.load_kvar[step]
        pv_kw, soc_now = outlook.pv_available_kw[step], soc[max(step - 1, 0)]
        seen[site.name] = Observed(load_kw, load_kvar, pv_kw, float(soc_now))
    return seen


def test_what_is_left_begins_with_what_was_observed(day: Scenario, running: RunningPlan) -> None:
    seen = as_planned(day, running, STEP, load_factor=1.5)
    left = remaining(day, STEP, seen, 1.01)
    assert left.axis.times == day.axis.times[STEP:]
    assert (left.slack_voltage_pu == 1.01).all()
    for before, after in zip(day.sites, left.sites, strict=True):
        own = seen[before.name]
        assert after.outlook.load_kw[0] == own.load_kw
        assert (after.outlook.load_kw[1:] == before.outlook.load_kw[STEP + 1 :]).all()
        assert after.battery is not None
        assert after.battery.soc_initial == own.soc


def test_a_battery_just_beyond_its_band_is_planned_from_the_edge(day: Scenario, running: RunningPlan) -> None:
    seen = {name: replace(own, soc=0.903) for name, own in as_planned(day, running, STEP).items()}
    batteries = [site.battery for site in remaining(day, STEP, seen, 1.0).sites]
    assert [battery.soc_initial for battery in batteries if battery] == [0.9] * 5


@pytest.mark.parametrize("step", [-1, 48])
def test_a_step_outside_the_day_is_refused(day: Scenario, running: RunningPlan, step: int) -> None:
    with pytest.raises(ValueError, match="not within the day of 48 steps"):
        remaining(day, step, as_planned(day, running, STEP), 1.0)


def coordinated(running: RunningPlan) -> CoordinatedDay:
    assert running.computed is not None
    return running.computed


def test_when_all_comes_as_forecast_the_warm_start_has_little_left_to_do(day: Scenario, running: RunningPlan) -> None:
    seen = as_planned(day, running, STEP)
    warm = replan(Situation(day, STEP, seen, 1.0), running, CoordinationConfig(), VirtualClock())
    cold = replan(Situation(day, STEP, seen, 1.0), None, CoordinationConfig(), VirtualClock())
    assert coordinated(warm).outcome.status is coordinated(cold).outcome.status is CoordinationStatus.CONVERGED
    assert len(coordinated(warm).outcome.iterations) < len(coordinated(cold).outcome.iterations)


def test_a_new_margin_counts_even_if_nothing_else_changed(day: Scenario, running: RunningPlan) -> None:
    """Rows of the last cycle would still be right by their error, but not by their limits."""
    seen = as_planned(day, running, STEP)
    narrower = replace(day, margin_pu=0.01)
    after = replan(Situation(narrower, STEP, seen, 1.0), running, CoordinationConfig(), VirtualClock())
    assert coordinated(after).outcome.status is CoordinationStatus.CONVERGED
    before = np.abs(running.v_pu[STEP:] - 1).max()
    assert before > 0.041
    assert np.abs(after.v_pu - 1).max() <= 0.04 + 2e-4


def test_the_penalty_begins_where_that_of_the_day_began(day: Scenario, running: RunningPlan) -> None:
    after = running
    for step in range(3):
        drifted = replace(coordinated(after).outcome, splitting=coordinated(after).outcome.splitting.with_rho(1e-6))
        after = replace(after, computed=replace(coordinated(after), outcome=drifted))
        after = replan(
            Situation(day, step, as_planned(day, running, step), 1.01), after, CoordinationConfig(), VirtualClock()
        )
        assert coordinated(after).outcome.iterations[0].rho == coordinated(running).outcome.iterations[0].rho


@pytest.mark.parametrize("computed", ["after one round", None])
def test_a_plan_that_came_out_worse_does_not_replace_the_running_one(
    day: Scenario, running: RunningPlan, computed: str | None
) -> None:
    hurried = CoordinationConfig(max_iterations=1)
    last = coordinate(day, hurried, VirtualClock()) if computed else None
    before = replace(running, computed=last)
    after = replan(Situation(day, STEP, as_planned(day, running, STEP), 1.0), before, hurried, VirtualClock())
    assert coordinated(after).outcome.status is CoordinationStatus.ITERATIONS
    assert not after.adopted
    assert (after.begins, after.computed_for) == (0, STEP)
    assert after.plan is running.plan
    assert (after.profiles(STEP) == running.profiles(0)[:, STEP:]).all()
    assert (after.voltages_pu(STEP) == running.voltages_pu(STEP)).all()


def test_after_a_restart_the_coordination_starts_cold(day: Scenario, running: RunningPlan) -> None:
    seen = as_planned(day, running, STEP)
    resumed = replace(running, computed=None)
    after = replan(Situation(day, STEP, seen, 1.0), resumed, CoordinationConfig(), VirtualClock())
    cold = replan(Situation(day, STEP, seen, 1.0), None, CoordinationConfig(), VirtualClock())
    assert after.adopted
    assert (after.profiles(STEP) == cold.profiles(STEP)).all()


def test_a_better_plan_replaces_it_even_if_the_budget_ended_first(day: Scenario, running: RunningPlan) -> None:
    slack_pu = 1.03
    few = CoordinationConfig(max_iterations=25, gap_tol=1e-9)
    after = replan(Situation(day, STEP, as_planned(day, running, STEP), slack_pu), running, few, VirtualClock())
    assert coordinated(after).outcome.status is CoordinationStatus.ITERATIONS
    assert after.adopted
    assert after.plan is coordinated(after).plan


def test_selfish_replanning_is_everybodys_optimum_of_what_is_left(day: Scenario, running: RunningPlan) -> None:
    seen = as_planned(day, running, STEP, load_factor=1.5)
    selfish = replan_uncoordinated(Situation(day, STEP, seen, 1.01), CoordinationConfig())
    together = replan(Situation(day, STEP, seen, 1.01), running, CoordinationConfig(), VirtualClock())
    assert (selfish.begins, selfish.computed) == (STEP, None)
    for name, bill in selfish.bills.items():
        assert bill.coordinated_chf == pytest.approx(together.bills[name].uncoordinated_chf)
        assert bill.compensation_chf == 0
    tariff = pytest.approx(day.tariff.buy_chf_per_kwh[STEP + 3])
    assert all(price == tariff for price in selfish.prices_chf_per_kwh(STEP + 3).values())


def test_a_plan_tells_the_voltages_and_prices_of_a_step_of_the_day(day: Scenario, running: RunningPlan) -> None:
    after = replan(
        Situation(day, STEP, as_planned(day, running, STEP), 1.0), running, CoordinationConfig(), VirtualClock()
    )
    step = STEP + 7
    grid = GridModel(remaining(day, STEP, as_planned(day, running, STEP), 1.0).problem, 1.0)
    assert after.voltages_pu(step) == pytest.approx(np.abs(grid.flow(after.profiles(STEP)).v[7]))
    prices = after.prices_chf_per_kwh(step)
    for name, agreement in after.plan.agreements.items():
        p_kw = np.array([1e-4, 0.0])
        up, down = agreement.profile.x.copy(), agreement.profile.x.copy()
        up[7] += p_kw
        down[7] -= p_kw
        difference_chf = agreement.signal.cost_chf(up) - agreement.signal.cost_chf(down)
        assert prices[name] == pytest.approx(difference_chf / (2e-4 * day.axis.dt_h), abs=1e-6)


@pytest.mark.parametrize("step", [STEP - 1, 48])
def test_a_plan_says_nothing_about_other_steps(day: Scenario, running: RunningPlan, step: int) -> None:
    later = RunningPlan.of(
        uncoordinated(remaining(day, STEP, as_planned(day, running, STEP), 1.0), CoordinationConfig()), STEP
    )
    for ask in (later.voltages_pu, later.prices_chf_per_kwh, later.profiles):
        with pytest.raises(ValueError, match=f"step {step} is not within the plan of steps 20 to 47"):
            ask(step)


def test_planning_does_not_go_back_in_time(day: Scenario, running: RunningPlan) -> None:
    later = replace(running, computed_for=STEP + 1)
    with pytest.raises(ValueError, match="step 20 lies before step 21"):
        replan(Situation(day, STEP, as_planned(day, running, STEP), 1.0), later, CoordinationConfig(), VirtualClock())


def test_the_last_step_of_the_day(day: Scenario, running: RunningPlan) -> None:
    last = day.axis.n_steps - 1
    after = replan(
        Situation(day, last, as_planned(day, running, last), 1.0), running, CoordinationConfig(), VirtualClock()
    )
    assert after.profiles(last).shape == (5, 1, 2)


def test_a_margin_narrows_the_band_that_the_plan_keeps(day: Scenario) -> None:
    margin = np.linspace(0, 0.01, len(day.network.nodes) - 1)
    plan = coordinate(replace(day, margin_pu=margin), CoordinationConfig(), VirtualClock())
    assert plan.outcome.status is CoordinationStatus.CONVERGED
    v = np.abs(plan.flow.v)
    assert (v <= day.limits.v_max_pu - margin + 2e-4).all()
    assert (v >= day.limits.v_min_pu + margin - 2e-4).all()


def test_margin_begins_cold_and_ends_at_what_it_saw() -> None:
    margin, predicted = Margin.unlearned(3), np.ones(3)
    assert (margin.margin_pu == COLD_START_PU).all()
    for _ in range(VOLTAGE.window):
        margin = margin.after(predicted, predicted + np.array([0.0, 0.001, -0.002]))
    assert margin.margin_pu == pytest.approx([0.0, 0.001, 0.002])
    for _ in range(VOLTAGE.window):
        margin = margin.after(predicted, predicted)
    assert margin.margin_pu == pytest.approx(np.zeros(3))


def test_the_margin_of_reactive_power_begins_cold_and_covers_a_day() -> None:
    """All but one in a hundred deviations of a day, on whichever side; a share of the limit before any was seen."""
    margin, limit_kvar = Margin.unlearned(3), 4.0
    assert margin.margin_kvar(limit_kvar) == pytest.approx(COLD_START_SHARE * limit_kvar)
    deviations = np.random.default_rng(3).permutation(np.linspace(-0.3, 0.6, REACTIVE_POWER.window))
    for deviation in deviations:
        margin = margin.after_reactive(-1.0, -1.0 + deviation)
    covered = np.abs(deviations) <= margin.margin_kvar(limit_kvar)
    assert 1 <= (~covered).sum() <= 2
    assert (margin.margin_pu == COLD_START_PU).all(), "voltages have a margin of their own"
    half = Margin.unlearned(3)
    for _ in range(REACTIVE_POWER.window // 2):
        half = half.after_reactive(0.0, 0.0)
    assert half.margin_kvar(limit_kvar) == pytest.approx(COLD_START_SHARE * limit_kvar / 2)


def test_a_margin_narrows_the_reactive_power_that_the_plan_draws(day: Scenario) -> None:
    limit_kvar, tolerance_kvar = day.limits.slack_q_max_kvar, 1e-2 * day.limits.slack_s_max_kva
    free, narrow = (
        coordinate(replace(day, reactive_margin_kvar=kvar), CoordinationConfig(), VirtualClock())
        for kvar in (0.0, limit_kvar / 2)
    )
    assert narrow.outcome.status is CoordinationStatus.CONVERGED
    assert np.abs(narrow.flow.s_slack.imag).max() <= limit_kvar / 2 + tolerance_kvar
    assert np.abs(free.flow.s_slack.imag).max() > limit_kvar / 2 + tolerance_kvar, "the limit binds"
