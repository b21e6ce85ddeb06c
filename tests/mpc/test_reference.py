"""The centralised reference: against single prosumers, against the grid, and against another solver."""

from dataclasses import replace

import numpy as np
import pytest

from core.prices import Tariff
from core.resources import Battery, Capability
from core.scenario import Scenario
from mpc.grid.rows import GridModel
from mpc.prosumer import participants
from mpc.reference import AcOptimum, CentralisedProblem
from tests.support.independent_flow import reference_flow
from tests.support.synthetic import Sizes, scenario, with_losses, with_slack_voltage

PRICE_CAP = 2.0


@pytest.mark.parametrize("feed_in", [1.0, 0.5, 1.2])
@pytest.mark.parametrize(
    "battery",
    [
        None,
        Battery(5.0, 10.0),
        Battery(5.0, 10.0, efficiency=0.9, soc_final_min=0.5),
        Battery(5.0, 10.0, capability=Capability.DISC),
        Battery(5.0, 10.0, loss_rel=0.02),
        Battery(5.0, 10.0, efficiency=0.9, loss_rel=0.05, wear_chf_per_kwh=0.02),
        Battery(5.0, 10.0, soc_initial=0.02, efficiency=0.9),
    ],
)
def test_uncoordinated_is_the_sum_of_selfish_optima(battery: Battery | None, feed_in: float) -> None:
    grid = scenario(step_min=60, sizes=Sizes(battery=battery))
    buy = grid.tariff.buy_chf_per_kwh
    grid = replace(grid, tariff=Tariff(buy, feed_in * buy))
    retail = grid.tariff.signal(grid.axis.dt_h)
    alone = sum(prosumer.respond(retail).cost_chf for prosumer in participants(grid))
    assert CentralisedProblem(grid).uncoordinated().cost_chf == pytest.approx(alone, abs=1e-5)


def test_wide_limits_change_nothing() -> None:
    grid = scenario(step_min=60, sizes=Sizes(band_pu=0.5, slack_s_max_kva=1e4))
    problem, model = CentralisedProblem(grid), GridModel(grid.problem, PRICE_CAP)
    free = problem.uncoordinated()
    held = problem.optimum(model.linearise(free.x))
    assert held.cost_chf == pytest.approx(free.cost_chf, abs=1e-5)
    assert held.unheld_chf == pytest.approx(0, abs=1e-6)


def test_optimum_holds_the_rows_at_a_price() -> None:
    grid = scenario(step_min=60)
    problem, model = CentralisedProblem(grid), GridModel(grid.problem, PRICE_CAP)
    free = problem.uncoordinated()
    rows = model.linearise(free.x)
    assert rows.excess(rows.value(free.x)).max() > 0.1
    held = problem.optimum(rows)
    assert rows.excess(rows.value(held.x)).max() < 1e-6
    assert held.cost_chf > free.cost_chf + 0.1


def test_what_cannot_be_held_is_priced() -> None:
    grid = with_slack_voltage(scenario(step_min=60), 0.9)
    problem, model = CentralisedProblem(grid), GridModel(grid.problem, PRICE_CAP)
    rows = model.linearise(problem.uncoordinated().x)
    held = problem.optimum(rows)
    excess = rows.excess(rows.value(held.x))
    assert excess.max() > 0.1
    assert held.unheld_chf == pytest.approx(np.sum(rows.kappa * excess), rel=1e-5)


def test_ac_optimum_holds_the_ac_grid(
    gridlab9: Scenario, centralised: CentralisedProblem, ac_optimum: AcOptimum
) -> None:
    flow, limits = reference_flow(gridlab9, ac_optimum.x), gridlab9.limits
    v = np.abs(flow.v)
    assert v.max() < limits.v_max_pu + 2e-5
    assert v.min() > limits.v_min_pu - 2e-5
    assert np.abs(flow.s_slack.imag).max() < limits.slack_q_max_kvar + 2e-3
    assert ac_optimum.violation.worst_pu < 2e-5
    assert ac_optimum.cost_chf > centralised.uncoordinated().cost_chf + 0.1


def test_ac_optimum_is_no_worse_than_that_of_its_own_rows(
    centralised: CentralisedProblem, ac_optimum: AcOptimum
) -> None:
    """The proximal term leaves no cost behind: the plain linear program on the same rows gains less than 1e-3."""
    best = centralised.optimum(ac_optimum.rows)
    assert best.cost_chf <= ac_optimum.cost_chf + 1e-6
    assert best.cost_chf == pytest.approx(ac_optimum.cost_chf, rel=1e-3)


def test_half_hours_with_gurobi(gridlab9_half_hours: Scenario) -> None:
    """Without losses it is a linear program, which fits the licence of gurobipy: 2000 variables, 2000 constraints."""
    lossless = with_losses(gridlab9_half_hours, 0.0)
    clarabel, gurobi = (CentralisedProblem(lossless, solver) for solver in ("clarabel", "gurobi"))
    free = clarabel.uncoordinated()
    rows = GridModel(gridlab9_half_hours.problem, PRICE_CAP).linearise(free.x)
    assert gurobi.uncoordinated().cost_chf == pytest.approx(free.cost_chf, abs=1e-5)
    assert gurobi.optimum(rows).cost_chf == pytest.approx(clarabel.optimum(rows).cost_chf, abs=1e-5)
