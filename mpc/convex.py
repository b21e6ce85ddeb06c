"""Solving a cvxpy problem with a solver of the user's choice, and saying plainly why one would not."""

from functools import cache
from typing import Any

import cvxpy as cp
import numpy as np

from core.errors import SolverError, SolverLicenceError

GUROBI = "GUROBI"
QUADRATIC_LIMIT = 200
"""Variables that the licence bundled with gurobipy allows as soon as the cost has a quadratic term (2000 without)."""


def solve(problem: cp.Problem, solver: str) -> None:
    """Solve in place; ``solver`` is any name that cvxpy knows, in any case.

    Raises:
        SolverLicenceError: the licence that Gurobi found is too small for the problem.
        SolverError: the solver is not installed, or ended without an optimum.
    """
    name = solver.upper()
    if name not in cp.installed_solvers():
        raise SolverError(f"solver {solver} is not installed; installed: {', '.join(cp.installed_solvers()).lower()}")
    options = {"env": _quiet_environment()} if name == GUROBI else {}
    try:
        problem.solve(solver=name, **options)
    except cp.SolverError as error:
        variables = problem.size_metrics.num_scalar_variables
        if name == GUROBI and not _licence_allows(variables):
            raise SolverLicenceError(
                f"solver gurobi needs a full Gurobi licence: {variables} variables, licence allows {QUADRATIC_LIMIT} "
                "with a quadratic cost; without one, leave the solver at its default (piqp, clarabel)"
            ) from error
        raise SolverError(f"solver {solver} failed: {error}") from error
    if problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
        raise SolverError(f"solver {solver} ended with status {problem.status}")


@cache
def _quiet_environment() -> Any:
    """One Gurobi environment for the process, without banner and log."""
    import gurobipy

    environment = gurobipy.Env(empty=True)
    environment.setParam("OutputFlag", 0)
    environment.start()
    return environment


def _licence_allows(variables: int) -> bool:
    """Whether Gurobi would optimise a quadratic cost over so many variables: cvxpy hides its answer, so ask again."""
    import gurobipy

    with gurobipy.Model(env=_quiet_environment()) as model:
        y = model.addMVar(variables)
        model.setObjective(y @ np.eye(variables) @ y)
        try:
            model.optimize()
        except gurobipy.GurobiError as error:
            return bool(error.errno != gurobipy.GRB.Error.SIZE_LIMIT_EXCEEDED)
    return True
