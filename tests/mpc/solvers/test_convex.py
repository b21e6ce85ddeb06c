"""Why a solver would not, said plainly."""

import cvxpy as cp
import numpy as np
import pytest

from core.errors import SolverError, SolverLicenceError
from mpc.solvers.convex import solve


def least_squares(size: int) -> cp.Problem:
    y = cp.Variable(size)
    return cp.Problem(cp.Minimize(cp.quad_form(y, cp.psd_wrap(np.eye(size))) - 2 * np.arange(size) @ y))


@pytest.mark.parametrize("name", ["clarabel", "CLARABEL", "piqp", "gurobi", "Gurobi", "osqp"])
def test_solvers_by_name(name: str) -> None:
    problem = least_squares(5)
    solve(problem, name)
    np.testing.assert_allclose(problem.variables()[0].value, np.arange(5), atol=1e-2)


def test_unknown_solver_names_those_that_are_installed() -> None:
    with pytest.raises(SolverError, match=r"solver cplex is not installed; installed: .*clarabel"):
        solve(least_squares(5), "cplex")


@pytest.mark.parametrize("solver", ["clarabel", "gurobi"])
@pytest.mark.parametrize(("sign", "word"), [(1, "infeasible"), (-1, "unbounded")])
def test_no_optimum(solver: str, sign: int, word: str) -> None:
    y = cp.Variable(nonneg=True)
    problem = cp.Problem(cp.Minimize(sign * y), [y <= -1] if sign > 0 else [])
    with pytest.raises(SolverError, match=word) as caught:
        solve(problem, solver)
    assert not isinstance(caught.value, SolverLicenceError)


def test_quadratic_problem_beyond_the_licence() -> None:
    solve(least_squares(200), "gurobi")
    with pytest.raises(SolverLicenceError, match=r"201 variables, licence allows 200.*default \(piqp, clarabel\)"):
        solve(least_squares(201), "gurobi")


def test_linear_problem_up_to_the_licence() -> None:
    """2000 variables without a quadratic term; beyond it the message must not speak of 200."""
    y = cp.Variable(2000, bounds=[0, None])
    solve(cp.Problem(cp.Minimize(cp.sum(y))), "gurobi")
    y = cp.Variable(2001, bounds=[0, None])
    with pytest.raises(SolverLicenceError, match=r"2001 variables.*2000"):
        solve(cp.Problem(cp.Minimize(cp.sum(y))), "gurobi")


def test_gurobi_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    solve(least_squares(5), "gurobi")
    assert capfd.readouterr() == ("", "")
