"""Each fault of the deployment once: the guardian, and who may speak to the planner."""

from pathlib import Path

from controller.chaos.trials import Trial
from tests.closed_loop.chaos_trials import assert_safe, named, tried


@named(59, 60, 61)
def test_a_fault_of_the_deployment_is_judged_safe(trial: Trial, journal: Path, tmp_path: Path) -> None:
    assert_safe(tried(trial, journal, tmp_path))
