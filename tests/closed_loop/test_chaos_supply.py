"""Each step of the supply once."""

from pathlib import Path

from controller.chaos.trials import Trial
from tests.closed_loop.chaos_trials import assert_safe, named, tried


@named(57, 58)
def test_a_step_of_the_supply_is_corrected_within_two_cycles(trial: Trial, journal: Path, tmp_path: Path) -> None:
    assert_safe(tried(trial, journal, tmp_path))
