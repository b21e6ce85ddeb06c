"""A convex QP that is built once and solved many times: PIQP by default, any cvxpy solver by name.

    min ½ y'P y + c'y    s.t.  A y = b,  G y ≤ h,  y_l ≤ y ≤ y_u

Only the values of P, c and y_u change between solves; the pattern of P is fixed at construction.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import cvxpy as cp
import numpy as np
import piqp
import scipy.sparse as sp

from core.arrays import FloatArray
from core.errors import SolverError
from mpc.solvers.convex import solve

PIQP = "piqp"
PIQP_ATTEMPTS = ((1e-8, False), (1e-8, True), (1e-6, True))
"""Accuracy, and whether every step is refined: dearer, but it also ends where steps become inexact. The last one is
for demands of thousands of kW.
"""
SMALLEST_COST = 1e-12
"""Floor of the scale that brings the objective's coefficients to 1; without it the solver may not converge."""


@dataclass(frozen=True)
class QuadraticProgram:
    """Constraints and pattern. ``p`` is the upper triangle of P in CSC; its explicit zeros belong to the pattern."""

    p: sp.csc_matrix
    a: sp.csc_matrix
    b: FloatArray
    g: sp.csc_matrix
    h: FloatArray
    lower: FloatArray
    upper: FloatArray


class QpSolver(Protocol):
    """Solves one :class:`QuadraticProgram` for changing objectives."""

    def solve(self, p_data: FloatArray, c: FloatArray, upper: FloatArray) -> FloatArray:
        """Return the minimiser for the values ``p_data`` of the pattern of P, the linear term ``c`` and upper bounds,
        which are infinite where those of the program are.

        Raises:
            SolverError: no solution was found.
            SolverLicenceError: the problem is larger than the licence of a commercial solver allows.
        """
        ...


def qp_solver(name: str, program: QuadraticProgram) -> QpSolver:
    """The solver that a config names: ``piqp``, or any solver that cvxpy knows (``gurobi``, ``clarabel``, …)."""
    return PiqpSolver(program) if name.lower() == PIQP else CvxpySolver(name, program)


class PiqpSolver:
    """Proximal interior point, about a millisecond for a day of 10-min steps.

    Each solve is set up anew: a solver that is updated answers by where it has been, and of several optima it finds
    now one, now another, so that a plan would not be the answer that the grid was evaluated for.
    """

    def __init__(self, program: QuadraticProgram) -> None:
        self._program, self._p = program, program.p.copy()

    def solve(self, p_data: FloatArray, c: FloatArray, upper: FloatArray) -> FloatArray:
        """Solve with the objective scaled to coefficients of at most 1."""
        scale = 1 / max(np.abs(c).max(), np.abs(p_data).max(initial=0.0), SMALLEST_COST)
        self._p.data[:] = p_data * scale
        solver, program = piqp.SparseSolver(), self._program
        unbounded = np.full(len(program.h), -np.inf)
        solver.setup(self._p, c * scale, program.a, program.b, program.g, unbounded, program.h, program.lower, upper)
        for accuracy, refined in PIQP_ATTEMPTS:
            settings = solver.settings
            settings.iterative_refinement_always_enabled = refined
            settings.eps_abs = settings.eps_rel = accuracy
            settings.eps_duality_gap_abs = settings.eps_duality_gap_rel = accuracy
            status = solver.solve()
            if status == piqp.PIQP_SOLVED:
                return np.array(solver.result.x)
        raise SolverError(f"piqp ended with {status.name}")


class CvxpySolver:
    """Any solver that cvxpy knows. A new linear term is a new parameter value; a new P is a new problem.

    Two problems are kept, since priced signals and plain signals (P = 0) alternate.
    """

    def __init__(self, name: str, program: QuadraticProgram) -> None:
        self._name = name
        self._program = program
        self._y = cp.Variable(len(program.lower), bounds=[program.lower, program.upper])
        self._c = cp.Parameter(len(program.lower))
        self._bounded = np.flatnonzero(np.isfinite(program.upper))
        self._upper = cp.Parameter(len(self._bounded))
        self._constraints: list[cp.Constraint] = [self._y[self._bounded] <= self._upper]
        if len(program.b):
            self._constraints.append(program.a @ self._y == program.b)
        if len(program.h):
            self._constraints.append(program.g @ self._y <= program.h)
        self._problem = lru_cache(maxsize=2)(self._build)

    def solve(self, p_data: FloatArray, c: FloatArray, upper: FloatArray) -> FloatArray:
        """Solve the cached problem of this P with a new linear term and new bounds."""
        self._c.value, self._upper.value = c, upper[self._bounded]
        solve(self._problem(p_data.tobytes()), self._name)
        return np.asarray(self._y.value)

    def _build(self, p_bytes: bytes) -> cp.Problem:
        p_data, pattern = np.frombuffer(p_bytes), self._program.p
        upper = sp.csc_matrix((p_data, pattern.indices, pattern.indptr), pattern.shape)
        objective = self._c @ self._y
        if np.any(p_data):
            p = upper + sp.triu(upper, 1).T
            objective += 0.5 * cp.quad_form(self._y, cp.psd_wrap(p))
        return cp.Problem(cp.Minimize(objective), self._constraints)
