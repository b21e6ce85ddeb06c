"""The central optimum of a tree of aggregators: the reference for distributed results, not used for control.

    (5)  min  γ/2 Σ_t (P_∅ − target)² + Σ_i f_i(x_i) + κ Σ ε
         s.t. z_b = Σ_c z_c,  z_i = x_i,  l − ε ≤ Σ_c a_c'z_c ≤ u + ε,  ε ≥ 0    for every branch b and its rows

in cvxpy, with all data in one program, written independently of :mod:`mpc.coordination`. Every row is elastic at the
price κ of a row scaled to a largest coefficient of 1; where all limits can be held below that price ε is 0, and this is
the problem of paper B.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cvxpy as cp
import numpy as np

from core.arrays import FloatArray
from core.hierarchy import Branch, BranchRow
from mpc.reference_sites import CentralSites
from mpc.solvers.convex import solve
from mpc.trees.scenario import TreeScenario

OWN_ROWS = (("p_min_kw", "p_max_kw", (1.0, 0.0)), ("q_min_kvar", "q_max_kvar", (0.0, 1.0)))


@dataclass(frozen=True)
class TreeOptimum:
    """The central optimum.

    Attributes:
        x: demand of each leaf, kW and kvar, [T, 2].
        objective_chf: Σ f_i and the root's own objective.
        unheld_chf: priced violation of limits.
    """

    x: Mapping[str, FloatArray]
    objective_chf: float
    unheld_chf: float

    @property
    def total_chf(self) -> float:
        """What was minimised."""
        return self.objective_chf + self.unheld_chf


class CentralTree:
    """All prosumers and branches in one program.

    Args:
        violation_price_chf_per_kwh: of a kWh beyond a limit; it caps the price of a row.

    Raises:
        InputError: a site has a resource that the reference does not know.
    """

    def __init__(self, tree: TreeScenario, violation_price_chf_per_kwh: float) -> None:
        problem = tree.problem
        self._tree, self._kappa = tree, violation_price_chf_per_kwh * problem.axis.dt_h
        sites = CentralSites(problem.axis, problem.tariff, tree.sites)
        self._z = {site.name: profile for site, profile in zip(tree.sites, sites.profiles, strict=True)}
        self._constraints = list(sites.constraints)
        unheld = [self._branch(branch) for branch in reversed(problem.hierarchy.top_down)]
        self._unheld = self._kappa * sum(term for terms in unheld for term in terms)
        root_kw = self._z[problem.hierarchy.root.name][0]
        peak = problem.peak_weight_per_kw2 / 2 * cp.sum_squares(root_kw - problem.target)
        self._objective = sites.cost_chf + peak
        self._program = cp.Problem(cp.Minimize(self._objective + self._unheld), self._constraints)

    def optimum(self, solver: str = "clarabel") -> TreeOptimum:
        """Solve the program.

        Raises:
            SolverError: the solver found no optimum.
        """
        solve(self._program, solver)
        x = {site.name: np.column_stack([part.value for part in self._z[site.name]]) for site in self._tree.sites}
        unheld = self._unheld.value if isinstance(self._unheld, cp.Expression) else self._unheld
        return TreeOptimum(x, float(self._objective.value), float(unheld))

    def _branch(self, branch: Branch) -> list[cp.Expression]:
        """Σ_t ε of each row of a branch; its power and its constraints are added to the program."""
        steps = self._tree.problem.axis.n_steps
        z = cp.Variable(steps), cp.Variable(steps)
        children = self._tree.problem.hierarchy.children[branch.name]
        for k in range(2):
            self._constraints.append(z[k] == sum(self._z[child][k] for child in children))
        self._z[branch.name] = z
        return [self._excess(row) for row in all_rows(branch)]

    def _excess(self, row: BranchRow) -> cp.Expression:
        """Σ_t ε of a row over powers that are part of the program already, scaled."""
        steps = self._tree.problem.axis.n_steps
        a = {child: np.broadcast_to(each, (steps, 2)) for child, each in row.coefficients.items()}
        unit = np.max([np.abs(each).max(axis=1) for each in a.values()], axis=0)
        unit = np.where(unit > 0, unit, 1.0)
        value = sum(
            cp.multiply(each[:, k] / unit, self._z[child][k])
            for child, each in a.items()
            for k in range(2)
            if each[:, k].any()
        )
        excess = cp.Variable(steps, nonneg=True)
        if row.upper is not None:
            self._constraints.append(value <= row.upper / unit + excess)
        if row.lower is not None:
            self._constraints.append(value >= row.lower / unit - excess)
        return cp.sum(excess)


def all_rows(branch: Branch) -> Iterator[BranchRow]:
    """The limits of a branch's own power as rows over the branch itself, where it has any, and its other rows."""
    for low, high, a in OWN_ROWS:
        lower, upper = getattr(branch.limits, low), getattr(branch.limits, high)
        if lower is not None or upper is not None:
            yield BranchRow(low.replace("_min", ""), {branch.name: np.array(a)}, lower, upper)
    yield from branch.rows
