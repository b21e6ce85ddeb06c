"""PIQP and cvxpy behind one interface, on random programs and in any order of objectives."""

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp

from core.arrays import FloatArray
from core.errors import SolverError
from mpc.solvers.quadratic import CvxpySolver, PiqpSolver, QuadraticProgram, qp_solver

SIZE = 8


def program(seed: int, equalities: int = 2, inequalities: int = 3) -> QuadraticProgram:
    """Feasible by construction: all constraints hold at a random point within the bounds."""
    rng = np.random.default_rng(seed)
    y = rng.uniform(-0.5, 0.5, SIZE)
    a, g = rng.normal(size=(equalities, SIZE)), rng.normal(size=(inequalities, SIZE))
    upper = np.where(np.arange(SIZE) == 3, np.inf, 1.0)
    return QuadraticProgram(
        sp.csc_matrix(np.triu(np.ones((SIZE, SIZE)))),
        sp.csc_matrix(a), a @ y, sp.csc_matrix(g), g @ y + 0.1, np.full(SIZE, -1.0), upper,
    )  # fmt: skip


def objective(seed: int, rank: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """P, its values in the pattern of the program (upper triangle, by columns), and c."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(SIZE, rank))
    p = root @ root.T
    c = rng.normal(size=SIZE)
    c[3] = abs(c[3])
    return p, np.concatenate([p[: k + 1, k] for k in range(SIZE)]), c


def cost(p: FloatArray, c: FloatArray, y: FloatArray) -> float:
    return float(0.5 * y @ p @ y + c @ y)


def least_cost(program: QuadraticProgram, p: FloatArray, c: FloatArray) -> float:
    y = cp.Variable(SIZE)
    constraints = [program.a @ y == program.b, program.g @ y <= program.h, y >= program.lower]
    finite = np.isfinite(program.upper)
    constraints.append(y[finite] <= program.upper[finite])
    problem = cp.Problem(cp.Minimize(0.5 * cp.quad_form(y, cp.psd_wrap(p)) + c @ y), constraints)
    return float(problem.solve(solver=cp.CLARABEL))


@pytest.mark.parametrize("name", ["piqp", "PIQP", "clarabel", "gurobi"])
@pytest.mark.parametrize(("equalities", "inequalities"), [(2, 3), (0, 3), (2, 0), (0, 0)])
def test_one_solver_many_objectives(name: str, equalities: int, inequalities: int) -> None:
    program_ = program(1, equalities, inequalities)
    solver = qp_solver(name, program_)
    for seed, rank in enumerate([8, 0, 2, 8, 0, 1]):
        p, p_data, c = objective(seed, rank)
        program_ = replace(program_, upper=np.where(np.arange(SIZE) == seed, 0.6, program_.upper))
        y = solver.solve(p_data, c, program_.upper)
        assert cost(p, c, y) == pytest.approx(least_cost(program_, p, c), abs=1e-5)
        np.testing.assert_allclose(program_.a @ y, program_.b, atol=1e-6)
        assert (program_.g @ y <= program_.h + 1e-6).all()
        assert (y >= program_.lower - 1e-6).all()
        assert (y <= program_.upper + 1e-6).all()


def test_solver_by_name() -> None:
    assert isinstance(qp_solver("PIQP", program(0)), PiqpSolver)
    assert isinstance(qp_solver("clarabel", program(0)), CvxpySolver)


@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1e4])
def test_accuracy_does_not_depend_on_the_currency(scale: float) -> None:
    program_ = program(2)
    solver, (_, p_data, c) = PiqpSolver(program_), objective(3, rank=8)
    scaled = solver.solve(scale * p_data, scale * c, program_.upper)
    np.testing.assert_allclose(scaled, solver.solve(p_data, c, program_.upper), atol=1e-6)


def test_answers_are_not_overwritten_by_the_next() -> None:
    program_ = program(2)
    solver, (_, p_data, c) = PiqpSolver(program_), objective(3, rank=8)
    first = solver.solve(p_data, c, program_.upper)
    kept = first.copy()
    solver.solve(p_data, -c, program_.upper)
    np.testing.assert_array_equal(first, kept)


def test_no_objective_at_all() -> None:
    program_ = program(4)
    y = PiqpSolver(program_).solve(np.zeros(SIZE * (SIZE + 1) // 2), np.zeros(SIZE), program_.upper)
    assert (program_.g @ y <= program_.h + 1e-6).all()


@pytest.mark.parametrize("name", ["piqp", "clarabel", "gurobi"])
def test_contradiction(name: str) -> None:
    feasible = program(5)
    nowhere = QuadraticProgram(
        feasible.p, feasible.a, feasible.b + 1e3, feasible.g, feasible.h, feasible.lower,
        np.ones(SIZE),
    )  # fmt: skip
    _, p_data, c = objective(0, rank=8)
    with pytest.raises(SolverError, match=name):
        qp_solver(name, nowhere).solve(p_data, c, nowhere.upper)
