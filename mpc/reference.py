"""The centralised optimum with all data in one program: the reference for distributed results, not used for control.

    min  Σ_i f_i(x_i) + κ'e   s.t. every prosumer's constraints (paper A, 20–22),  l − e ≤ A x ≤ u + e

in cvxpy, written independently of :mod:`mpc.prosumer`; f_i is the bill with the cost of losses and wear
(:mod:`mpc.reference_sites`). For one linearisation, and without losses, this is a linear program. Its solutions jump
between vertices from one linearisation to the next, so the AC-consistent optimum is a sequence of programs with a
proximal term γ/2 ‖x − x_k‖², each linearised around the last solution, until linearisation and cost converge.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from core.arrays import FloatArray
from core.errors import SolverError
from core.scenario import Scenario
from mpc.grid.power_flow import Flow
from mpc.grid.rows import GridModel, Rows, Violation, by_step
from mpc.reference_sites import CentralSites
from mpc.solvers.convex import solve

AC_TOLERANCE_PU = 1e-5
COST_TOLERANCE_REL = 1e-5
PROXIMAL_REL = 0.003
"""γ relative to (mean |tariff| Δt) per kW."""
MAX_ROUNDS = 50


@dataclass(frozen=True)
class Optimum:
    """A centralised optimum: profiles x [N, T, 2], their cost (bills, losses and wear), and the priced violation of
    limits that cannot be held.
    """

    x: FloatArray
    cost_chf: float
    unheld_chf: float
    rounds: int


@dataclass(frozen=True)
class AcOptimum(Optimum):
    """An optimum that is consistent with AC power flow; ``rows`` is its own linearisation."""

    rows: Rows
    flow: Flow
    violation: Violation


class CentralisedProblem:
    """All prosumers and the grid in one program; ``options`` are those of the solver, such as tolerances.

    Raises:
        InputError: a site has a resource without a model in this module.
    """

    def __init__(
        self, scenario: Scenario, solver: str = "clarabel", options: Mapping[str, float] | None = None
    ) -> None:
        self.scenario = scenario
        self._solver, self._options = solver, options or {}
        sites = CentralSites(scenario.axis, scenario.tariff, scenario.sites)
        self._constraints, self._cost = sites.constraints, sites.cost_chf
        self._x_by_step = cp.vstack([part for profile in sites.profiles for part in profile]).T

    def uncoordinated(self) -> Optimum:
        """Sum of the prosumers' own optima; the grid is ignored."""
        return self._solve(self._cost, [], 0.0)

    def optimum(self, rows: Rows, around: FloatArray | None = None, gamma: float = 0.0) -> Optimum:
        """Optimum under one linearisation, with a proximal term around profiles [N, T, 2] if ``gamma`` > 0.

        Raises:
            SolverError: the solver found none.
        """
        ax = sp.block_diag(list(rows.a), format="csr") @ cp.vec(self._x_by_step, order="C")
        e = cp.Variable(rows.lower.size, nonneg=True)
        unheld = rows.kappa.ravel() @ e
        objective = self._cost + unheld
        if around is not None and gamma > 0:
            objective += gamma / 2 * cp.sum_squares(self._x_by_step - by_step(around))
        return self._solve(objective, [ax <= rows.upper.ravel() + e, ax >= rows.lower.ravel() - e], unheld)

    def ac_optimum(self, grid: GridModel, gamma: float | None = None) -> AcOptimum:
        """Successive linear programs with a proximal term, until linear and AC power flow agree.

        Raises:
            SolverError: a program was not solved, or the sequence did not converge.
        """
        price = float(np.abs(self.scenario.tariff.buy_chf_per_kwh).mean()) * self.scenario.axis.dt_h
        gamma = PROXIMAL_REL * price if gamma is None else gamma
        best = self.uncoordinated()
        for k in range(1, MAX_ROUNDS + 1):
            rows = grid.linearise(best.x)
            before, best = best, self.optimum(rows, best.x, gamma)
            flow = grid.flow(best.x)
            error = grid.linearisation_error_pu(rows, best.x, flow)
            moved = abs(best.cost_chf - before.cost_chf) / max(abs(best.cost_chf), price)
            if error < AC_TOLERANCE_PU and moved < COST_TOLERANCE_REL:
                return AcOptimum(best.x, best.cost_chf, best.unheld_chf, k, rows, flow, grid.violation(flow))
        raise SolverError(f"the AC-consistent reference did not come to rest in {MAX_ROUNDS} linearisations")

    def _solve(
        self, objective: cp.Expression, constraints: list[cp.Constraint], unheld: cp.Expression | float
    ) -> Optimum:
        problem = cp.Problem(cp.Minimize(objective), self._constraints + constraints)
        solve(problem, self._solver, self._options)
        x = np.asarray(self._x_by_step.value).reshape(self.scenario.axis.n_steps, -1, 2).swapaxes(0, 1)
        unheld_chf = float(unheld.value) if isinstance(unheld, cp.Expression) else unheld
        return Optimum(x, float(self._cost.value), unheld_chf, 1)
