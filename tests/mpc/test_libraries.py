"""What mpc relies on in its libraries, where they have surprised us; an upgrade that changes it fails here."""

import cvxpy as cp
import daqp
import gurobipy
import numpy as np
import piqp
import pytest
import scipy.sparse as sp

UNBOUNDED = np.full(2, np.inf)


def test_piqp_keeps_structural_zeros_and_takes_new_values_for_them() -> None:
    p = sp.csc_matrix((np.array([1.0, 0.0, 1.0]), (np.array([0, 0, 1]), np.array([0, 1, 1]))), shape=(2, 2))
    assert p.nnz == 3
    solver = piqp.SparseSolver()
    solver.setup(p, np.array([-1.0, -1.0]), None, None, None, None, None, -UNBOUNDED, UNBOUNDED)
    assert solver.solve() == piqp.PIQP_SOLVED
    np.testing.assert_allclose(solver.result.x, [1, 1], atol=1e-6)
    p.data[:] = [1.0, 0.5, 1.0]
    solver.update(P=p)
    assert solver.solve() == piqp.PIQP_SOLVED
    np.testing.assert_allclose(solver.result.x, [2 / 3, 2 / 3], atol=1e-6)
    solver.update(c=np.array([0.0, -3.0]))
    assert solver.solve() == piqp.PIQP_SOLVED
    np.testing.assert_allclose(solver.result.x, [-2, 4], atol=1e-5)


@pytest.mark.parametrize("kind", [piqp.DenseSolver, piqp.SparseSolver])
def test_piqp_takes_infinity_for_a_missing_bound(kind: type) -> None:
    """Never ±1e20: the solver then takes it for a number and runs into its iteration limit."""
    matrix = np.asarray if kind is piqp.DenseSolver else sp.csc_matrix
    solver = kind()
    solver.setup(
        matrix(np.eye(2)), np.array([-3.0, -3.0]), None, None,
        matrix(np.ones((1, 2))), np.array([-np.inf]), np.array([1.0]), -UNBOUNDED, UNBOUNDED,
    )  # fmt: skip
    assert solver.solve() == piqp.PIQP_SOLVED
    np.testing.assert_allclose(solver.result.x, [0.5, 0.5], atol=1e-8)
    np.testing.assert_allclose(solver.result.z_u, [2.5], atol=1e-7)


@pytest.mark.parametrize(("linear", "x", "price"), [(-3.0, 1.0, 2.0), (3.0, -1.0, -2.0), (0.5, -0.5, 0.0)])
def test_daqp_multipliers_are_positive_at_the_upper_side(linear: float, x: float, price: float) -> None:
    found, _, flag, info = daqp.solve(
        np.eye(1), np.array([linear]), np.eye(1), np.ones(1), -np.ones(1), np.zeros(1, np.int32)
    )
    assert flag == 1
    assert found[0] == pytest.approx(x)
    assert info["lam"][0] == pytest.approx(price)


def test_daqp_tells_a_contradiction_by_its_flag() -> None:
    rows = np.array([[1.0, 0.0], [1.0, 1e-3], [1.0, -1e-3]])
    lower, upper = np.array([1.0, -5.0, -5.0]), np.array([5.0, -1.0, -1.0])
    flag = daqp.solve(np.eye(2), np.zeros(2), rows, upper, lower, np.zeros(3, np.int32))[2]
    assert flag != 1


@pytest.fixture
def environment() -> gurobipy.Env:
    env = gurobipy.Env(empty=True)
    env.setParam("OutputFlag", 0)
    env.start()
    return env


@pytest.mark.parametrize(("variables", "fits"), [(200, True), (201, False)])
def test_gurobi_licence_with_a_quadratic_cost(environment: gurobipy.Env, variables: int, fits: bool) -> None:
    """The bundled licence: one variable too many is refused only when it is asked to optimise."""
    with gurobipy.Model(env=environment) as model:
        y = model.addMVar(variables)
        model.setObjective(y @ np.eye(variables) @ y)
        if fits:
            model.optimize()
            assert model.Status == gurobipy.GRB.OPTIMAL
        else:
            with pytest.raises(gurobipy.GurobiError) as caught:
                model.optimize()
            assert caught.value.errno == gurobipy.GRB.Error.SIZE_LIMIT_EXCEEDED


def test_cvxpy_hides_the_licence() -> None:
    y = cp.Variable(201)
    problem = cp.Problem(cp.Minimize(cp.quad_form(y, cp.psd_wrap(np.eye(201)))))
    with pytest.raises(cp.SolverError) as caught:
        problem.solve(solver=cp.GUROBI)
    assert "licen" not in str(caught.value).lower()
    assert "size" not in str(caught.value).lower()


def test_cvxpy_psd_wrap_keeps_the_number_of_variables(environment: gurobipy.Env) -> None:
    """quad_form of anything but a variable, or sum_squares, doubles them; bounds of a variable cost no rows."""
    y = cp.Variable(200, bounds=[np.zeros(200), np.ones(200)])
    problem = cp.Problem(cp.Minimize(cp.quad_form(y, cp.psd_wrap(np.eye(200))) - 4 * cp.sum(y)))
    problem.solve(solver=cp.GUROBI, env=environment)
    np.testing.assert_allclose(y.value, 1, atol=1e-6)
    model = problem.solver_stats.extra_stats
    assert (model.NumVars, model.NumConstrs) == (200, 0)
