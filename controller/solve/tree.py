"""The kind ``tree``: prosumers under aggregators under aggregators (paper B)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from controller.runs.tables import plan_frame, resources_frame
from controller.solve.interruptible import Interruptible
from controller.solve.problem import Prepared, Solved, SolveRequest, SolveWatch
from controller.solve.tree_sharing import share
from controller.solve.tree_tables import SolvedTree, branches_frame, rows_frame, shown_table, solve_round
from core.algorithms import TreeAlgorithm
from core.config_coordination import TreeConfig
from core.config_hierarchy import HierarchyConfig
from core.errors import Fault, InputError
from core.load import load_tree
from core.plan import Agreement, Plan
from core.scenario import LoadedTree
from mpc.coordination.metering import MessageMeter
from mpc.coordination.outcome import CoordinationStatus
from mpc.coordination.solving import SolveStatus
from mpc.coordination.tree.coordination import coordinate_tree
from mpc.coordination.tree.observing import observed
from mpc.coordination.tree.sharing import RELAXATIONS
from mpc.day_ahead import Bill, bill
from mpc.prosumer import ProsumerProgram
from mpc.trees.scenario import TreeScenario

STATUS = {
    CoordinationStatus.CONVERGED: SolveStatus.CONVERGED,
    CoordinationStatus.BUDGET: SolveStatus.BUDGET,
    CoordinationStatus.ITERATIONS: SolveStatus.ROUNDS,
    CoordinationStatus.INFEASIBLE: SolveStatus.INFEASIBLE,
    CoordinationStatus.PARTIAL: SolveStatus.PARTIAL,
}
HOPS = 2
"""Messages that follow each other in a round, at any depth: every other level answers at once."""


def prepare(config: HierarchyConfig, path: Path) -> Prepared:
    """The tree of a file, with its series read and checked.

    Raises:
        InputError: with all faults of these.
    """
    scenario = load_tree(config, path)
    hierarchy = scenario.problem.hierarchy
    levels = max(hierarchy.level.values()) + 1
    words = f"{len(scenario.sites)} prosumers under {len(hierarchy.branches)} aggregators on {levels} levels"
    return Prepared(words, partial(_solve, config, scenario), scenario.cautions)


def _solve(config: HierarchyConfig, scenario: LoadedTree, request: SolveRequest, watch: SolveWatch) -> Solved:
    if request.link is not None:
        raise InputError([Fault("--link", "", "a link", "none for the kind tree: aggregators wait for every answer")])
    settings = TreeConfig(
        max_rounds=request.max_rounds,
        budget_s=request.budget_s,
        violation_price_chf_per_kwh=config.violation_price_chf_per_kwh,
    )
    leaves = TreeScenario(scenario.problem, scenario.sites).participants()
    if (algorithm := TreeAlgorithm(request.algorithm)) is not TreeAlgorithm.TREE:
        settings = settings.model_copy(update={"relaxation": RELAXATIONS[algorithm]})
        outcome = share(scenario.problem, leaves, settings, watch)
        return _shared(config, leaves, SolvedTree.of(scenario.problem, outcome), watch)
    carry, meter = Interruptible(watch), MessageMeter()
    following = observed(meter.over(carry), lambda each: watch.note(solve_round(each)))
    outcome = coordinate_tree(scenario.problem, leaves, settings, watch.clock, following)
    solved = solved_tree(config, leaves, SolvedTree.of(scenario.problem, outcome), meter)
    return replace(solved, status=SolveStatus.INTERRUPTED) if carry.interrupted else solved


def _shared(config: HierarchyConfig, leaves: Sequence[ProsumerProgram], tree: SolvedTree, watch: SolveWatch) -> Solved:
    """The result of the paper's iteration, which sends no messages here, and has no proof that it is the optimum."""
    solved = solved_tree(config, leaves, tree, MessageMeter())
    hops = 2 * (max(tree.problem.hierarchy.level.values()) + 1)
    settled = tree.outcome.status is CoordinationStatus.CONVERGED
    status = SolveStatus.NEIGHBOURHOOD if settled else watch.reason or SolveStatus.ROUNDS
    return replace(solved, hops_per_round=hops, status=status)


def solved_tree(
    config: HierarchyConfig, leaves: Sequence[ProsumerProgram], tree: SolvedTree, meter: MessageMeter
) -> Solved:
    """The result of the tree as that of any kind."""
    outcome = tree.outcome
    plans = {leaf.name: leaf.plan(outcome.agreements[leaf.name].signal) for leaf in leaves}
    plan = Plan(tree.problem.axis, outcome.agreements, plans)
    return Solved(
        status=STATUS[outcome.status],
        objective=outcome.objective_chf,
        bound=outcome.bound_chf,
        gap_rel=outcome.gap_rel,
        violation=outcome.violation_rel,
        rounds=tuple(map(solve_round, outcome.rounds)),
        hops_per_round=HOPS,
        messages=meter.messages,
        payload_bytes=meter.payload_bytes,
        participants=len(leaves) + len(tree.problem.hierarchy.branches),
        silent=tuple(member.name for member in outcome.silent),
        tables=_tables(plan, tree),
        shown=shown_table(tree),
        more=_more(config, tree, _bills(tree, plan)),
    )


def _tables(plan: Plan, tree: SolvedTree) -> dict[str, pd.DataFrame]:
    resources = resources_frame(plan)
    more = {"resources": resources} if len(resources) else {}
    frames = {"plan": plan_frame(plan, tree.problem.tariff), **more}
    return {**frames, "branches": branches_frame(tree), "rows": rows_frame(tree)}


def _bills(tree: SolvedTree, plan: Plan) -> dict[str, Bill]:
    tariff, dt_h = tree.problem.tariff, tree.problem.axis.dt_h
    retail = tariff.signal(dt_h)
    own = {name: Agreement(retail, profile) for name, profile in tree.outcome.uncoordinated.items()}
    return {name: bill(tariff, dt_h, agreement, own[name]) for name, agreement in plan.agreements.items()}


def _more(config: HierarchyConfig, tree: SolvedTree, bills: dict[str, Bill]) -> dict[str, Any]:
    """Keys of summary.json besides those of all kinds."""
    outcome, hierarchy = tree.outcome, tree.problem.hierarchy
    branches = {
        branch.name: {
            "parent": branch.parent,
            "level": hierarchy.level[branch.name],
            "prosumers": hierarchy.n_leaves[branch.name],
            "peak_kw": {
                "uncoordinated": float(np.abs(tree.uncoordinated[branch.name][:, 0]).max()),
                "coordinated": float(np.abs(tree.coordinated[branch.name][:, 0]).max()),
            },
        }
        for branch in hierarchy.top_down
    }
    return {
        "date": config.horizon.date.isoformat(),
        "timezone": config.horizon.timezone,
        "step_min": config.horizon.step_min,
        "currency": config.currency,
        "branches": branches,
        "branch_of": dict(hierarchy.leaves),
        "cost_chf": {
            name: {
                "uncoordinated": each.uncoordinated_chf,
                "coordinated": each.coordinated_chf,
                "compensation": each.compensation_chf,
            }
            for name, each in bills.items()
        },
        "total_cost_chf": {
            "uncoordinated": sum(each.uncoordinated_chf for each in bills.values()),
            "coordinated": sum(each.coordinated_chf for each in bills.values()),
        },
        "peak_weight_per_kw2": tree.problem.peak_weight_per_kw2,
        "unheld_chf": outcome.unheld_chf,
        "turnover_chf": outcome.turnover_chf,
        "relaxation_gap_rel": outcome.relaxation_gap_rel,
        "held_rounds": {member.name: member.age_rounds for member in outcome.silent},
    }
