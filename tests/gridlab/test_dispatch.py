"""The vocabulary of paper D: its complete script, its tuning, and its faults."""

import asyncio
import subprocess
import sys

import numpy as np
import pytest

import gridlab
from gridlab.dispatch import (
    ADMMFlexActor,
    ADMMGenericCoordinator,
    ADMMSharingGlobalActor,
    ADMMTargetDistanceObjective,
    DispatchResult,
    create_admm_flex_actor_one_to_many,
    create_admm_sharing_data,
    create_admm_start,
    create_sharing_target_distance_admm_coordinator,
    start_coordinated_optimization,
)
from tests.support.dispatches import dispatch_file
from tests.support.paths import ROOT

SCRIPT = """
import asyncio
from distributed_resource_optimization import (
    create_admm_flex_actor_one_to_many,
    create_sharing_target_distance_admm_coordinator,
    create_admm_sharing_data, create_admm_start,
    start_coordinated_optimization,
)

async def main():
    resource1 = create_admm_flex_actor_one_to_many(10.0, [0.1,  0.5, -1.0])
    resource2 = create_admm_flex_actor_one_to_many(15.0, [0.1,  0.5, -1.0])
    resource3 = create_admm_flex_actor_one_to_many(10.0, [-1.0, 0.0,  1.0])

    coordinator  = create_sharing_target_distance_admm_coordinator()
    problem_data = create_admm_sharing_data([-4.0, 0.0, 6.0], [5, 1, 1])
    start_msg    = create_admm_start(problem_data)

    await start_coordinated_optimization(
        [resource1, resource2, resource3], coordinator, start_msg
    )

    print("Resource 1:", resource1.x.round(3))
    print("Resource 2:", resource2.x.round(3))
    print("Resource 3:", resource3.x.round(3))
    print("Aggregate: ", (resource1.x + resource2.x + resource3.x).round(3))

asyncio.run(main())
"""
"""The complete script of the tutorial."""


def actors() -> list[ADMMFlexActor]:
    efficiencies = ([0.1, 0.5, -1.0], [0.1, 0.5, -1.0], [-1.0, 0.0, 1.0])
    return [create_admm_flex_actor_one_to_many(c, eta) for c, eta in zip((10.0, 15.0, 10.0), efficiencies, strict=True)]


def optimised(resources: list[ADMMFlexActor], coordinator: ADMMGenericCoordinator) -> DispatchResult:
    start = create_admm_start(create_admm_sharing_data([-4.0, 0.0, 6.0], [5, 1, 1]))
    return asyncio.run(start_coordinated_optimization(resources, coordinator, start))


def test_the_complete_script_with_another_import_line() -> None:
    script = SCRIPT.replace("from distributed_resource_optimization import", "from gridlab.dispatch import")
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "Resource 1: [0. 0. 0.]",
        "Resource 2: [0. 0. 0.]",
        "Resource 3: [-4.  0.  4.]",
        "Aggregate:  [-4.  0.  4.]",
    ]


def test_the_result_is_proven() -> None:
    resources = actors()
    result = optimised(resources, create_sharing_target_distance_admm_coordinator())
    assert result.status == "converged"
    assert (result.objective, result.bound) == (pytest.approx(2.0, abs=1e-6), pytest.approx(2.0, abs=1e-6))
    assert (result.rounds <= 60, result.wall_s < 5, result.silent) == (True, True, ())
    assert result.inputs == pytest.approx([0.0, 0.0, 4.0], abs=1e-6)
    assert result.deviation == pytest.approx([0.0, 0.0, -2.0], abs=1e-6)
    assert np.array([each.x for each in resources]) == pytest.approx(result.outputs)


def test_tuning() -> None:
    """Keywords of the tutorial; a looser tolerance takes fewer rounds, one round is not enough."""
    actor = ADMMSharingGlobalActor(ADMMTargetDistanceObjective())
    tuned = ADMMGenericCoordinator(global_actor=actor, rho=5.0, max_iters=500, abs_tol=1e-5, rel_tol=1e-4)
    result = optimised(actors(), tuned)
    assert (result.status, result.objective) == ("converged", pytest.approx(2.0, abs=1e-2))
    cut = optimised(actors(), ADMMGenericCoordinator(global_actor=actor, rho=5.0, max_iters=1))
    assert (cut.status, cut.rounds) == ("rounds", 1)


def test_a_positive_priority_is_penalised() -> None:
    resources = actors()
    resources[2] = create_admm_flex_actor_one_to_many(10.0, [-1.0, 0.0, 1.0], P=[0.0, 0.0, 7.0])
    optimised(resources, create_sharing_target_distance_admm_coordinator())
    assert np.abs(resources[2].x).max() <= 1e-6


def test_faults_are_all_named() -> None:
    with pytest.raises(gridlab.InputError) as resource:
        create_admm_flex_actor_one_to_many(-1.0, [1.0, float("nan")], P=[1.0])
    assert [fault.key for fault in resource.value.faults] == ["in_capacity[0]", "eta[1]", "P"]
    with pytest.raises(gridlab.InputError) as data:
        create_admm_sharing_data([1.0, float("inf")], [1.0, -2.0, 1.0])
    assert [fault.key for fault in data.value.faults] == ["target[1]", "priorities[1]", "priorities"]
    actor = ADMMSharingGlobalActor(ADMMTargetDistanceObjective("l3"))
    with pytest.raises(gridlab.InputError) as settings:
        optimised(actors(), ADMMGenericCoordinator(actor, rho=0.0, max_iters=0))
    assert [fault.key for fault in settings.value.faults] == ["norm", "max_iters[0]", "rho[0]"]
    coordinator = create_sharing_target_distance_admm_coordinator()
    for wrong in ([], [create_admm_flex_actor_one_to_many(1.0, [1.0])]):
        with pytest.raises(gridlab.InputError, match="actors"):
            optimised(wrong, coordinator)


def test_solve_as_a_function(tmp_path) -> None:
    path = dispatch_file(tmp_path)
    run = gridlab.solve(path)
    assert (run.summary["status"], run.path) == ("converged", None)
    assert list(run.tables["resources"]["resource"]) == ["one", "two", "three"]
    problem = gridlab.load(path)
    free = gridlab.solve(problem.with_(weights=[0, 1, 1]), out=tmp_path / "free", max_rounds=50)
    assert free.summary["objective"] == pytest.approx(0.0, abs=1e-2)
    assert gridlab.solve(tmp_path / "free.yaml").summary["objective"] == free.summary["objective"]
    assert gridlab.open_run(tmp_path / "free").summary == {"schema_version": 1, **free.summary}
    lossy = gridlab.solve(problem, link="loss=0.3,seed=3")
    assert (lossy.summary["status"], lossy.summary["messages"] > run.summary["messages"]) == ("converged", True)
    with pytest.raises(gridlab.InputError, match="kind: got"):
        gridlab.plan(problem)
    with pytest.raises(gridlab.InputError, match="--algorithm"):
        gridlab.solve(problem, algorithm="magic")
