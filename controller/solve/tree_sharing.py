"""The paper's own iteration as an algorithm of the kind ``tree``: for comparison, without certificate and prices."""

from collections.abc import Mapping, Sequence

import numpy as np

from controller.solve.problem import SolveWatch
from controller.solve.tree_tables import branch_sums, solve_round
from core.arrays import FloatArray
from core.config_coordination import TreeConfig
from core.hierarchy import TreeProblem
from mpc.coordination.outcome import CoordinationStatus
from mpc.coordination.participants import PriceResponsive
from mpc.coordination.solving import SolveStatus
from mpc.coordination.tree.memory import TreeWarmStart
from mpc.coordination.tree.outcome import BranchState, RowState, TreeOutcome, TreeRound
from mpc.coordination.tree.rows import branch_rows
from mpc.coordination.tree.sharing import Sharing, SharingOutcome, coordinate_by_sharing

STILL_ROUNDS = 10
STILL_REL = 1e-4
"""The iteration has settled where limits hold, and the objective moves by less than this in so many rounds."""


def share(
    problem: TreeProblem, leaves: Sequence[PriceResponsive], settings: TreeConfig, watch: SolveWatch
) -> TreeOutcome:
    """Iterate until it has settled, or has to end; the result is the last round.

    Raises:
        SolverError: a prosumer's solver failed.
    """
    rounds: list[TreeRound] = []

    def ended(each: TreeRound) -> bool:
        if not rounds or rounds[-1] is not each:
            rounds.append(each)
            watch.note(solve_round(each))
        return settled(rounds, settings) or watch.expired()

    sharing = Sharing(problem, leaves, settings)
    shared = coordinate_by_sharing(sharing, settings.max_rounds, watch.clock, ended)
    status = CoordinationStatus.CONVERGED if settled(rounds, settings) else CoordinationStatus.ITERATIONS
    if watch.reason is SolveStatus.BUDGET:
        status = CoordinationStatus.BUDGET
    return _outcome(problem, sharing, shared, status)


def settled(rounds: Sequence[TreeRound], settings: TreeConfig) -> bool:
    """Whether limits hold, and the objective has come to rest."""
    last = [each.objective_chf for each in rounds[-STILL_ROUNDS:]]
    still = len(last) == STILL_ROUNDS and max(last) - min(last) <= STILL_REL * abs(last[-1])
    return still and rounds[-1].violation_rel <= settings.violation_tol_rel


def _outcome(problem: TreeProblem, sharing: Sharing, shared: SharingOutcome, status: CoordinationStatus) -> TreeOutcome:
    last, tariff, dt_h = shared.rounds[-1], problem.tariff.buy_chf_per_kwh, problem.axis.dt_h
    return TreeOutcome(
        status=status,
        gap_rel=None,
        relaxation_gap_rel=None,
        objective_chf=last.objective_chf,
        unheld_chf=last.unheld_chf,
        bound_chf=None,
        turnover_chf=sum(float(np.abs(tariff * x[:, 0]).sum()) for x in shared.x.values()) * dt_h,
        violation_rel=last.violation_rel,
        agreements=sharing.agreements,
        uncoordinated=sharing.uncoordinated,
        branches=_states(problem, shared.x),
        rounds=shared.rounds,
        rounds_asked=len(shared.rounds),
        silent=(),
        warm_start=TreeWarmStart({}, sharing.rho),
    )


def _states(problem: TreeProblem, leaves: Mapping[str, FloatArray]) -> dict[str, BranchState]:
    """The branches with the powers of their leaves; prices and multipliers are unknown, NaN."""
    hierarchy, steps = problem.hierarchy, problem.axis.n_steps
    x, unknown = branch_sums(hierarchy, leaves), np.full(steps, np.nan)
    found = {}
    for branch in hierarchy.top_down:
        children = hierarchy.children[branch.name]
        rows = branch_rows(branch, children, steps)
        of_children = np.stack([x[child] for child in children])
        value, excess = rows.value(of_children), rows.excess(of_children)
        sides = [(side * rows.unit).T for side in (value, rows.lower, rows.upper, excess)]
        states = {
            name: RowState(value=value, lower=low, upper=up, multiplier_chf_per_kw=unknown, unheld=left)
            for name, value, low, up, left in zip(rows.names, *sides, strict=True)
            if np.isfinite(low).any() or np.isfinite(up).any()
        }
        found[branch.name] = BranchState(x[branch.name], np.full((steps, 2), np.nan), states)
    return found
