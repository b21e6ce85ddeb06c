"""Solves a cvxpy problem with a solver of the user's choice, and explains why one would not."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import cvxpy as cp

from core.errors import SolverError, SolverLicenceError

GUROBI = "GUROBI"
QUADRATIC_VARIABLES = 200
LINEAR_VARIABLES = 2000
CONSTRAINTS = 2000
"""Sizes that the licence bundled with gurobipy allows; cvxpy hides a refusal behind "Solver 'GUROBI' failed"."""


def solve(problem: cp.Problem, solver: str, options: Mapping[str, float] | None = None) -> None:
    """Solve in place; ``solver`` is any name that cvxpy knows, in any case, ``options`` its own.

    Raises:
        SolverLicenceError: the licence that Gurobi found is too small for the problem.
        SolverError: the solver is not installed, or ended without an optimum.
    """
    name = solver.upper()
    if name not in cp.installed_solvers():
        raise SolverError(f"solver {solver} is not installed; installed: {', '.join(cp.installed_solvers()).lower()}")
    licence = {"env": _quiet_environment()} if name == GUROBI else {}
    try:
        problem.solve(solver=name, **licence, **(options or {}))
    except cp.SolverError as error:
        if name == GUROBI and (size := _beyond_bundled_licence(problem)) and not _full_licence():
            raise SolverLicenceError(
                f"solver gurobi needs a full Gurobi licence: {size}; "
                "without one, leave the solver at its default (piqp, clarabel)"
            ) from error
        raise SolverError(f"solver {solver} failed: {error}") from error
    if problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
        raise SolverError(f"solver {solver} ended with status {problem.status}")


def _beyond_bundled_licence(problem: cp.Problem) -> str:
    """Why the bundled licence does not allow the problem; empty if it does."""
    size, linear = problem.size_metrics, problem.is_lp()
    constraints = size.num_scalar_eq_constr + size.num_scalar_leq_constr
    allowed = LINEAR_VARIABLES if linear else QUADRATIC_VARIABLES
    if size.num_scalar_variables > allowed:
        cost = "linear" if linear else "quadratic"
        return f"{size.num_scalar_variables} variables, licence allows {allowed} with a {cost} cost"
    return f"{constraints} constraints, licence allows {CONSTRAINTS}" if constraints > CONSTRAINTS else ""


@cache
def _quiet_environment() -> Any:
    """One Gurobi environment for the process, without banner and log."""
    import gurobipy

    environment = gurobipy.Env(empty=True)
    environment.setParam("OutputFlag", 0)
    environment.start()
    return environment


@cache
def _full_licence() -> bool:
    """Whether Gurobi solves a problem larger than the bundled licence allows."""
    import gurobipy

    with gurobipy.Model(env=_quiet_environment()) as model:
        y = model.addMVar(QUADRATIC_VARIABLES + 1)
        model.setObjective(y @ y)
        try:
            model.optimize()
        except gurobipy.GurobiError as error:
            return bool(error.errno != gurobipy.GRB.Error.SIZE_LIMIT_EXCEEDED)
    return True
