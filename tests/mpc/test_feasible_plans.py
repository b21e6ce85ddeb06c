"""No plan, baseline, hindsight optimum or answer charges and discharges a battery at once, whatever makes energy cheap.

The small laboratory of tests/cases/plans has two houses; each case makes energy worthless or less than that in its way.
That plans are sound is checked by :mod:`tests.support.watched_prosumers`, here and in every other test.
"""

from collections.abc import Callable
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import mpc.prosumer
from core.config_coordination import CoordinationConfig
from core.plan import ProsumerPlan
from core.prices import PriceSignal, Tariff
from core.resources import Battery, Capability
from core.scenario import Scenario
from mpc.coordination.outcome import CoordinationStatus
from mpc.forecast import Observed
from mpc.intra_day import RunningPlan, Situation, replan, replan_uncoordinated
from mpc.prosumer import ProsumerProgram, participants
from mpc.resources.battery import BatteryBlock
from tests.support.coordination import coordinate, uncoordinated
from tests.support.small_laboratory import CASES, laboratory_day_with_a_negative_tariff, small_laboratory
from tests.support.sound_plans import check_sound
from tests.support.synthetic import Sizes, scenario, with_losses
from tests.support.virtual_clock import VirtualClock

HAS_NO_REASON_TO_CURTAIL = ("28 free energy", "29 worthless feed-in", "29b without a battery")


def curtailed_kwh(plan: ProsumerPlan, dt_h: float) -> float:
    return float(np.sum(plan.pv_available_kw - plan.pv_kw)) * dt_h


@pytest.mark.parametrize("name", CASES)
def test_small_cases(name: str) -> None:
    day = small_laboratory(name)
    alone = uncoordinated(day, CoordinationConfig())
    together = coordinate(day, CoordinationConfig(), VirtualClock())
    outcome = together.outcome
    assert outcome.status is CoordinationStatus.CONVERGED
    assert outcome.gap_rel is not None
    assert outcome.relaxation_gap_rel is not None
    assert outcome.lower_bound_chf is not None
    assert abs(outcome.gap_rel) <= 1e-3
    assert outcome.relaxation_gap_rel > -1e-9
    assert outcome.lower_bound_chf <= outcome.best.cost_chf + 1e-3 * outcome.best.turnover_chf
    assert min(bill.compensation_chf for bill in together.bills.values()) > -1e-4
    if name in HAS_NO_REASON_TO_CURTAIL:
        for each in (alone, together):
            assert max(curtailed_kwh(plan, day.axis.dt_h) for plan in each.plan.prosumers.values()) < 5e-3
    if name == "28 free energy":
        assert max(np.abs(plan.battery_kw).max() for plan in together.plan.prosumers.values()) < 1e-3


def test_the_laboratory_day() -> None:
    day = laboratory_day_with_a_negative_tariff()
    together = coordinate(day, CoordinationConfig(), VirtualClock())
    assert together.outcome.status is CoordinationStatus.CONVERGED
    assert together.outcome.relaxation_gap_rel is not None
    assert together.outcome.relaxation_gap_rel > 0.01
    assert min(bill.compensation_chf for bill in together.bills.values()) > -1e-4


@pytest.mark.parametrize("step", [1, 48, 95])
def test_the_mpc_of_a_negative_tariff(step: int) -> None:
    """The rest of the day from a state of charge that was not planned."""
    day = small_laboratory("03 negative tariff")
    running = RunningPlan.of(coordinate(day, CoordinationConfig(), VirtualClock()))
    seen = {
        site.name: Observed(site.outlook.load_kw[step], site.outlook.load_kvar[step], 0.5, 0.15) for site in day.sites
    }
    for new in (
        replan(Situation(day, step, seen, 1.0), running, CoordinationConfig(), VirtualClock()),
        replan_uncoordinated(Situation(day, step, seen, 1.0), CoordinationConfig()),
    ):
        assert (new.begins, new.adopted) == (step, True)
        assert {plan.soc.shape for plan in new.plan.prosumers.values() if plan.soc is not None} == {(96 - step,)}


def test_the_baseline_is_the_best_that_a_battery_can_do() -> None:
    """With a negative tariff, against a program that knows the directions as binary decisions."""
    day = small_laboratory("03 negative tariff")
    site, dt_h, steps, buy = day.sites[0], day.axis.dt_h, day.axis.n_steps, day.tariff.buy_chf_per_kwh
    battery, outlook = site.battery, site.outlook
    assert battery is not None
    charge, discharge, g = (cp.Variable(steps, nonneg=True) for _ in range(3))
    charging = cp.Variable(steps, boolean=True)
    change = battery.efficiency * charge - discharge / battery.efficiency
    soc = battery.soc_initial + cp.cumsum(change) * dt_h / battery.energy_kwh
    side = battery.s_max_kva / np.sqrt(2)
    limits = [charge <= side * charging, discharge <= side * (1 - charging), g <= outlook.pv_available_kw]
    cost = dt_h * buy @ (outlook.load_kw - discharge + charge - g)
    problem = cp.Problem(cp.Minimize(cost), [*limits, soc >= battery.soc_min, soc <= battery.soc_max])
    problem.solve(solver=cp.HIGHS)
    answer = ProsumerProgram(site, day.tariff, dt_h).respond(day.tariff.signal(dt_h))
    assert answer.cost_chf == pytest.approx(float(problem.value), abs=1e-5)
    assert answer.above_relaxed_chf > 0.3


prices = st.sampled_from([-0.1, -0.02, 0.0, 0.1, 0.3])
batteries = st.builds(
    Battery,
    s_max_kva=st.floats(1, 8),
    energy_kwh=st.floats(2, 20),
    soc_initial=st.floats(0.2, 0.8),
    soc_final_min=st.sampled_from([None, 0.3]),
    efficiency=st.floats(0.85, 1.0),
    capability=st.sampled_from(Capability),
    loss_rel=st.sampled_from([0.0, 0.02]),
    wear_chf_per_kwh=st.sampled_from([0.0, 0.01]),
)


@st.composite
def days(draw: st.DrawFn, band_pu: float = 0.1) -> Scenario:
    """Hours of any price, and a feed-in that is worth the same, nothing, or less."""
    sizes = Sizes(band_pu=band_pu, battery=draw(batteries), total_pv_kw=draw(st.sampled_from([0.0, 40.0])))
    day = scenario(n_prosumers=2, seed=draw(st.integers(0, 99)), step_min=60, sizes=sizes)
    buy = np.array(draw(st.lists(prices, min_size=24, max_size=24)))
    sell = draw(st.sampled_from([buy, np.minimum(buy, 0.0), np.minimum(buy, -0.05)]))
    return replace(day, tariff=Tariff(buy, sell))


few = settings(max_examples=25, derandomize=True, deadline=None)


@given(day=days(), curvature=st.sampled_from([0.0, 0.01]))
@few
def test_every_answer_is_sound(day: Scenario, curvature: float) -> None:
    site, dt_h = day.sites[0], day.axis.dt_h
    signal = replace(day.tariff.signal(dt_h), h=np.tile(curvature * np.eye(2), (24, 1, 1)))
    prosumer = ProsumerProgram(site, day.tariff, dt_h)
    answer, plan = prosumer.respond(signal), prosumer.plan(signal)
    check_sound(site, plan, dt_h)
    np.testing.assert_allclose(answer.x, np.column_stack([plan.p_kw, plan.q_kvar]), atol=1e-9)
    assert answer.above_relaxed_chf > -1e-6
    idle = PriceSignal(signal.h, signal.g, signal.fee_chf)
    assert prosumer.respond(idle).cost_chf == pytest.approx(answer.cost_chf, abs=1e-9)


@given(day=days(band_pu=0.02))
@settings(few, max_examples=10, phases=[Phase.generate])
def test_every_plan_is_sound_under_binding_limits(day: Scenario) -> None:
    some = CoordinationConfig(max_iterations=12)
    uncoordinated(day, some)
    together = coordinate(day, some, VirtualClock())
    for name, agreement in together.plan.agreements.items():
        plan = together.plan.prosumers[name]
        np.testing.assert_allclose(agreement.profile.x, np.column_stack([plan.p_kw, plan.q_kvar]), atol=1e-9)


def burn(patch: pytest.MonkeyPatch) -> None:
    """The relaxation is the answer, which charges and discharges at once."""
    patch.setattr(mpc.prosumer, "pairs", lambda _variables: [])


def leave_to_chance(patch: pytest.MonkeyPatch) -> None:
    """Nothing decides between optima that cost the same."""
    patch.setattr(mpc.prosumer, "TIE_REL", 0.0)


def exceed_the_band(patch: pytest.MonkeyPatch) -> None:
    """A battery moves one percent more than its state of charge allows."""
    honest = BatteryBlock._discharge_kw
    patch.setattr(BatteryBlock, "_discharge_kw", lambda block, soc: 1.01 * honest(block, soc))


SOWN: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str, str]] = {
    "burns energy": (burn, "respond", "03 negative tariff"),
    "cycles without a reason": (leave_to_chance, "plan", "lossless"),
    "leaves its band": (exceed_the_band, "plan", "lossless"),
}


@pytest.mark.parametrize("name", SOWN)
def test_a_sown_fault_is_found(
    name: str, gridlab9: Scenario, faults_of_plans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sow, question, day_of = SOWN[name]
    day = with_losses(gridlab9, 0.0) if day_of == "lossless" else small_laboratory(day_of)
    retail = day.tariff.signal(day.axis.dt_h)
    getattr(participants(day)[0], question)(retail)
    assert not faults_of_plans
    sow(monkeypatch)
    with pytest.raises(AssertionError):
        getattr(participants(day)[0], question)(retail)
    assert len(faults_of_plans) == 1
    faults_of_plans.clear()
