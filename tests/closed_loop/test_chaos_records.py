"""Each fault of records that others remove, replace or alter once."""

from pathlib import Path

from controller.chaos.trials import Trial
from tests.closed_loop.chaos_trials import assert_safe, named, tried


@named(48, 49, 50, 51, 52)
def test_records_that_are_missed_are_judged_safe(trial: Trial, journal: Path, tmp_path: Path) -> None:
    assert_safe(tried(trial, journal, tmp_path))
