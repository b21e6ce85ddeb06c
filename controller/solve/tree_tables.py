"""The tables of a solved tree: branches.csv and rows.csv with the columns of docs/interfaces.md, and the terminal's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from controller.runs.tables import times
from core.arrays import FloatArray
from core.hierarchy import ACTIVE, REACTIVE, Branch, Hierarchy, TreeProblem
from mpc.coordination.solving import SolveRound
from mpc.coordination.tree.outcome import BranchState, RowState, TreeOutcome, TreeRound

HELD_REL = 1e-3
"""A limit that is left by more than this share of its scale is not held."""
UNITS = {ACTIVE: "kW", REACTIVE: "kvar"}


@dataclass(frozen=True)
class SolvedTree:
    """A tree with its outcome, and the powers (kW, kvar) of its branches and leaves by name, [T, 2]: of everybody's own
    optimum under the tariff, and as agreed.
    """

    problem: TreeProblem
    outcome: TreeOutcome
    uncoordinated: Mapping[str, FloatArray]
    coordinated: Mapping[str, FloatArray]

    @classmethod
    def of(cls, problem: TreeProblem, outcome: TreeOutcome) -> "SolvedTree":
        """Sum the answers of the leaves up the tree."""
        own = {name: profile.x for name, profile in outcome.uncoordinated.items()}
        agreed = {name: agreement.profile.x for name, agreement in outcome.agreements.items()}
        return cls(problem, outcome, branch_sums(problem.hierarchy, own), branch_sums(problem.hierarchy, agreed))

    def row_value(self, branch: Branch, row: str, x: Mapping[str, FloatArray]) -> FloatArray:
        """Value of a row of a branch for the powers ``x``, [T]."""
        if row in UNITS:
            return x[branch.name][:, list(UNITS).index(row)]
        (found,) = (each for each in branch.rows if each.name == row)
        terms = [np.sum(a * x[child], axis=1) for child, a in found.coefficients.items()]
        return np.asarray(np.sum(terms, axis=0))


def solve_round(each: TreeRound) -> SolveRound:
    """A round of the coordination as one of any algorithm; the objective contains what cannot be held."""
    return SolveRound(
        round=each.number,
        objective=each.objective_chf + each.unheld_chf,
        bound=each.bound_chf,
        gap_rel=each.gap_rel,
        violation=each.violation_rel,
        primal=each.primal,
        dual=each.dual,
        rho=each.rho,
    )


def branches_frame(solved: SolvedTree) -> pd.DataFrame:
    """Powers, limits, price and what cannot be held of every branch; the day without coordination last."""
    frames = []
    for branch in solved.problem.hierarchy.top_down:
        state, before = solved.outcome.branches[branch.name], solved.uncoordinated[branch.name]
        p, q = _own(state, ACTIVE), _own(state, REACTIVE)
        frames.append(
            pd.DataFrame(
                {
                    "time": times(solved.problem.axis),
                    "branch": branch.name,
                    "p_kw": solved.coordinated[branch.name][:, 0],
                    "lower_kw": _finite(p.lower),
                    "upper_kw": _finite(p.upper),
                    "price_per_kwh": state.price_chf_per_kw[:, 0] / solved.problem.axis.dt_h,
                    "unheld_kw": p.unheld,
                    "q_kvar": solved.coordinated[branch.name][:, 1],
                    "lower_kvar": _finite(q.lower),
                    "upper_kvar": _finite(q.upper),
                    "unheld_kvar": q.unheld,
                    "uncoordinated_kw": before[:, 0],
                    "uncoordinated_kvar": before[:, 1],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def rows_frame(solved: SolvedTree) -> pd.DataFrame:
    """Value, limits and multiplier of every row over the children of a branch."""
    columns = ("time", "branch", "row", "value", "lower", "upper", "multiplier", "unheld", "uncoordinated")
    frames = [
        pd.DataFrame(
            {
                "time": times(solved.problem.axis),
                "branch": branch.name,
                "row": name,
                "value": row.value,
                "lower": _finite(row.lower),
                "upper": _finite(row.upper),
                "multiplier": row.multiplier_chf_per_kw,
                "unheld": row.unheld,
                "uncoordinated": solved.row_value(branch, name, solved.uncoordinated),
            }
        )
        for branch, name, row in _rows(solved)
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def shown_table(solved: SolvedTree) -> pd.DataFrame:
    """A row per branch for the terminal, indented by level; peaks without coordination → with."""
    hierarchy, dt_h = solved.problem.hierarchy, solved.problem.axis.dt_h
    lines = []
    for branch in _depth_first(solved, hierarchy.root):
        state = solved.outcome.branches[branch.name]
        price = state.price_chf_per_kw[:, 0] / dt_h + 0.0
        before, after = solved.uncoordinated[branch.name][:, 0], solved.coordinated[branch.name][:, 0]
        lines.append(
            {
                "branch": "  " * hierarchy.level[branch.name] + branch.name,
                "prosumers": hierarchy.n_leaves[branch.name],
                "peak kW": f"{np.abs(before).max():.1f} → {np.abs(after).max():.1f}",
                "limits": limits_text(state),
                "price per kWh": "–" if np.isnan(price).any() else f"{price.min():.3f} … {price.max():.3f}",
            }
        )
    return pd.DataFrame(lines)


def limits_text(state: BranchState) -> str:
    """Whether the limits of a branch hold at the result, or which row is left most, by how much."""
    if not state.rows:
        return "none"
    name, row = max(state.rows.items(), key=lambda item: left_rel(item[1]))
    if left_rel(row) <= HELD_REL:
        return "held"
    unit = f" {UNITS[name]}" if name in UNITS else ""
    return f"{name} left by {row.unheld.max():.3g}{unit}"


def left_rel(row: RowState) -> float:
    """Largest excess of a row relative to its larger limit in that step."""
    limits = np.abs([np.where(np.isfinite(side), side, 0) for side in (row.lower, row.upper)]).max(axis=0)
    return float((row.unheld / np.where(limits > 0, limits, 1)).max())


def _depth_first(solved: SolvedTree, branch: Branch) -> Iterator[Branch]:
    hierarchy = solved.problem.hierarchy
    yield branch
    for child in hierarchy.children[branch.name]:
        if child in hierarchy.by_name:
            yield from _depth_first(solved, hierarchy.by_name[child])


def _rows(solved: SolvedTree) -> Iterator[tuple[Branch, str, RowState]]:
    for branch in solved.problem.hierarchy.top_down:
        for name, row in solved.outcome.branches[branch.name].rows.items():
            if name not in UNITS:
                yield branch, name, row


def _own(state: BranchState, name: str) -> RowState:
    """The limits of a branch's own power, or none."""
    if name in state.rows:
        return state.rows[name]
    nothing = np.zeros(len(state.x))
    endless = np.full(len(state.x), np.inf)
    return RowState(state.x[:, list(UNITS).index(name)], -endless, endless, nothing, nothing)


def _finite(limits: FloatArray) -> FloatArray:
    """The limits, NaN where there is none: an empty cell."""
    return np.where(np.isfinite(limits), limits, np.nan)


def branch_sums(hierarchy: Hierarchy, leaves: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Powers of leaves, and of every branch the sum of those below it."""
    found = dict(leaves)
    for branch in reversed(hierarchy.top_down):
        found[branch.name] = np.sum([found[child] for child in hierarchy.children[branch.name]], axis=0)
    return found
