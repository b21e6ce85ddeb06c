"""Each fault of the records, the configuration, the operators and the requests once."""

from pathlib import Path

from controller.chaos.trials import Trial
from tests.closed_loop.chaos_trials import assert_safe, named, tried


@named(22, 23, 24, 25, 26, 27, 28, 29, 30)
def test_a_fault_of_the_operation_is_judged_safe(trial: Trial, journal: Path, tmp_path: Path) -> None:
    assert_safe(tried(trial, journal, tmp_path))
