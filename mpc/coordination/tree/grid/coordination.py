"""Coordination of a real grid by a tree of aggregators: the operator at the root holds the supply and what it has not
given away, every aggregator the limits of its own part (:mod:`mpc.coordination.tree.grid.model`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from core.algorithms import SplittingName
from core.arrays import FloatArray
from core.config_coordination import CoordinationConfig, TreeConfig
from core.errors import Fault, InputError
from core.hierarchy import TreeProblem
from core.plan import Agreement
from core.problem import Problem
from core.time import Clock
from mpc.coordination import rounds
from mpc.coordination.outcome import CoordinationStatus, WarmStart
from mpc.coordination.participants import PriceResponsive
from mpc.coordination.rounds import Carrier
from mpc.coordination.star.outcome import Iteration
from mpc.coordination.tree.coordination import Tree
from mpc.coordination.tree.grid.model import ERROR_PER_TOLERANCE, GridRows, GridTolerances
from mpc.coordination.tree.grid.outcome import FeederOutcome, FeederWarmStart
from mpc.coordination.tree.grid.regions import hierarchy_of, regions, spread_evenly
from mpc.coordination.tree.memory import TreeWarmStart
from mpc.coordination.tree.observing import observed as tree_observed
from mpc.coordination.tree.outcome import BranchState, TreeOutcome, TreeRound
from mpc.grid.rows import GridModel
from mpc.grid.slope import voltage_slopes
from mpc.price import violation_price_chf_per_kwh

ROWS_SHARE = 1 - ERROR_PER_TOLERANCE
"""Share of the tolerable violation that rounds may have by their rows; the rest is for the error of these."""


def coordinate_feeders(
    problem: Problem,
    participants: Sequence[PriceResponsive],
    settings: CoordinationConfig,
    clock: Clock,
    carry: Carrier = rounds.run,
    warm_start: WarmStart | None = None,
) -> FeederOutcome:
    """Agree on prices under which the prosumers' own optima respect the limits of the grid and of the aggregators.

    Args:
        participants: one for each name of ``problem.nodes``.
        warm_start: from an earlier coordination of the same aggregators, shifted to this horizon; another is ignored.

    Raises:
        InputError: the settings are not those of a tree.
        CoordinationError: the carrier stopped before every participant had answered once.
        SolverError, SolverLicenceError: a prosumer's solver failed.
    """
    _check(settings)
    warm = warm_start if isinstance(warm_start, FeederWarmStart) else None
    price = violation_price_chf_per_kwh(settings, problem.tariff)
    tolerances = GridTolerances(settings.linearisation_tol_pu, settings.violation_tol_pu)
    models = {
        name: GridRows(region, price, tolerances, warm.models.get(name) if warm else None)
        for name, region in regions(problem).items()
    }
    tree = TreeProblem(problem.axis, problem.tariff, hierarchy_of(problem))
    found = Tree(tree, _tree_settings(settings), clock, warm.tree if warm else None, models)
    return _outcome(problem, found.coordinate(participants, carry), models, price)


def observed(carry: Carrier, observer: Callable[[Iteration], None]) -> Carrier:
    """A carrier that also calls ``observer`` after each round of the root."""
    return tree_observed(carry, lambda one: observer(_iteration(one, 0.0)))


def _check(settings: CoordinationConfig) -> None:
    """Make sure that the settings are those of a tree.

    Raises:
        InputError: they are not.
    """
    wanted = {"splitting": SplittingName.PROFILE, "stop": "certificate"}
    if faults := [
        Fault("coordination", key, f"{getattr(settings, key)}", f"{value}, as there is a hierarchy")
        for key, value in wanted.items()
        if getattr(settings, key) != value
    ]:
        raise InputError(faults)


def _tree_settings(settings: CoordinationConfig) -> TreeConfig:
    return TreeConfig(
        relaxation=settings.relaxation,
        rho=settings.rho,
        gap_tol=settings.gap_tol,
        violation_tol_rel=ROWS_SHARE * settings.violation_tol_pu,
        max_rounds=settings.max_iterations,
        budget_s=settings.budget_s,
        violation_price_chf_per_kwh=settings.violation_price_chf_per_kwh,
    )


def _outcome(
    problem: Problem, tree: TreeOutcome, models: Mapping[str, GridRows], violation_price: float
) -> FeederOutcome:
    infeasible = tree.status is CoordinationStatus.INFEASIBLE
    memories = {name: model.memory for name, model in models.items()}
    return FeederOutcome(
        status=tree.status,
        gap_rel=tree.gap_rel,
        relaxation_gap_rel=tree.relaxation_gap_rel,
        agreements=_sloped(problem, tree.agreements, violation_price),
        uncoordinated={name: tree.uncoordinated[name] for name in problem.nodes},
        lower_bound_chf=tree.bound_chf,
        iterations=tuple(_iteration(one, _error_pu(models, one.number)) for one in tree.rounds),
        relinearisations=max(model.renewals for model in models.values()),
        unheld_pu=tree.violation_rel if infeasible else 0.0,
        unheld_chf=tree.unheld_chf if infeasible else 0.0,
        prices={feeder.name: _price(tree.branches[feeder.name], models[feeder.name]) for feeder in problem.feeders},
        warm_start=FeederWarmStart(_without_prices(tree.warm_start), memories),
    )


def _price(state: BranchState, model: GridRows) -> FloatArray:
    return state.price_chf_per_kw + model.price_of_limit(state)


def _without_prices(warm: TreeWarmStart) -> TreeWarmStart:
    """A warm start that asks for no bound at once: rows of the next grid are not known before its first round."""
    return replace(warm, branches={name: replace(memory, priced=None) for name, memory in warm.branches.items()})


def _sloped(problem: Problem, agreements: Mapping[str, Agreement], violation_price: float) -> dict[str, Agreement]:
    """The agreements with voltage slopes, by sensitivities for which only the sum of each branch is known."""
    grid = GridModel(problem, violation_price)
    x = spread_evenly(problem, np.stack([agreements[name].profile.x for name in problem.nodes]))
    slopes = voltage_slopes(grid, grid.linearise(x))
    return {
        name: replace(agreements[name], signal=replace(agreements[name].signal, slope=slope))
        for name, slope in zip(problem.nodes, slopes, strict=True)
    }


def _error_pu(models: Mapping[str, GridRows], number: int) -> float:
    """Largest error of the rows of a round, before they were renewed."""
    return max(model.errors_pu[min(number, len(model.errors_pu) - 1)] for model in models.values())


def _iteration(one: TreeRound, linearisation_pu: float) -> Iteration:
    return Iteration(
        iteration=one.number,
        primal=one.primal,
        dual=one.dual,
        rho=one.rho,
        cost_chf=one.objective_chf,
        bound_chf=one.bound_chf,
        gap_rel=one.gap_rel,
        violation_pu=one.violation_rel,
        linearisation_pu=linearisation_pu,
        wall_ms=one.wall_ms,
    )
