"""Dispatch problems: the tutorial's, and random ones."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from core.arrays import FloatArray
from mpc.coordination.dispatch.fleet import Fleet
from mpc.coordination.dispatch.target import Norm, SectorTarget

TUTORIAL: dict[str, Any] = {
    "schema_version": 1,
    "kind": "dispatch",
    "name": "tutorial",
    "sectors": ["heat", "electricity", "reactive"],
    "target_kw": [-4.0, 0.0, 6.0],
    "weights": [5, 1, 1],
    "resources": [
        {"name": "one", "capacity_kw": 10.0, "efficiency": [0.1, 0.5, -1.0]},
        {"name": "two", "capacity_kw": 15.0, "efficiency": [0.1, 0.5, -1.0]},
        {"name": "three", "capacity_kw": 10.0, "efficiency": [-1.0, 0.0, 1.0]},
    ],
}
"""The problem of paper D; its optimum is 2 at the inputs (0, 0, 4)."""


def dispatch_file(folder: Path, **changes: Any) -> Path:
    """The tutorial's problem as a file, with other values for some keys."""
    path = folder / "dispatch.yaml"
    path.write_text(yaml.safe_dump({**TUTORIAL, **changes}), encoding="utf-8")
    return path


def random_dispatch(seed: int, resources: int, sectors: int, norm: Norm) -> tuple[Fleet, SectorTarget]:
    """Resources with efficiencies of both signs, a fifth of them 0, half of all problems with own costs.

    The target is near or beyond what a random operation of the resources gives.
    """
    rng = np.random.default_rng([seed, resources, sectors, norm is Norm.L1])
    efficiency = rng.normal(size=(resources, sectors)) * (rng.random((resources, sectors)) > 0.2)
    capacity = rng.uniform(1.0, 15.0, resources)
    priority = 0.1 * rng.normal(size=(resources, sectors)) * (seed % 2)
    operated = (rng.random(resources) * capacity) @ efficiency
    kw = operated * rng.uniform(0.3, 1.5) + 2 * np.sqrt(resources) * rng.normal(size=sectors)
    names = tuple(f"r{k}" for k in range(resources))
    fleet = Fleet(names, capacity, efficiency, priority, np.zeros(resources))
    return fleet, SectorTarget(kw, rng.uniform(0.5, 5.0, sectors), norm)


def central_optimum(fleet: Fleet, target: SectorTarget) -> tuple[float, FloatArray]:
    """Objective and inputs by cvxpy, from the definition of the problem."""
    import cvxpy as cp

    s = cp.Variable(len(fleet.names))
    deviation = fleet.efficiency.T @ s - target.kw
    distance = (
        target.weights @ cp.abs(deviation)
        if target.norm is Norm.L1
        else cp.sum(cp.multiply(target.weights, cp.square(deviation))) / 2
    )
    own = sum(fleet.priority[k] @ (fleet.efficiency[k] * s[k]) for k in range(len(fleet.names)))
    problem = cp.Problem(cp.Minimize(distance + own), [s >= 0, s <= fleet.capacity_kw])
    problem.solve(solver=cp.CLARABEL)
    assert problem.status == "optimal"
    return float(problem.value), np.asarray(s.value)
