"""Each fault of a device or its link once: the closed loop keeps all invariants, and is back in time."""

from pathlib import Path

from controller.chaos.trials import Trial
from tests.closed_loop.chaos_trials import assert_safe, named, tried


@named(7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 36, 37, 38, 39, 53, 54, 55, 56)
def test_a_fault_of_a_device_or_its_link_is_judged_safe(trial: Trial, journal: Path, tmp_path: Path) -> None:
    assert_safe(tried(trial, journal, tmp_path))
