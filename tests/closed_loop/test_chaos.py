"""Each fault of the control computer, its planner, its disk and its operators once; and a trial that must fail."""

from datetime import timedelta
from pathlib import Path

from controller.chaos.case import InjectedFault, Kind
from controller.chaos.script import WARM_S, Played, Take
from controller.chaos.trials import Trial
from tests.closed_loop.chaos_trials import assert_safe, journal, named, tried

__all__ = ["journal"]


@named(1, 2, 3, 4, 5, 6, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30)
def test_a_fault_of_the_control_computer_is_judged_safe(trial: Trial, journal: Path, tmp_path: Path) -> None:
    assert_safe(tried(trial, journal, tmp_path))


async def unconfessed(take: Take) -> Played:
    """The controller dies, but what is on record as the fault is something harmless."""
    stage = take.stage
    await stage.until(WARM_S)
    await stage.kill()
    await stage.until(2 * WARM_S)
    begins = stage.now - timedelta(seconds=WARM_S)
    return Played(InjectedFault("nothing", 99, None, begins, begins, Kind.OTHER))


def test_a_death_that_no_fault_explains_is_not_judged_safe(journal: Path, tmp_path: Path) -> None:
    result = tried(Trial(99, "unconfessed", unconfessed), journal, tmp_path)
    assert not result.passed
    assert any(broken.startswith("13: all no cycle for") for broken in result.broken)


async def abandoned(take: Take) -> Played:
    """A script that asks a controller which is no longer there."""
    await take.stage.kill()
    await take.stage.arm()
    raise AssertionError


def test_a_run_that_fails_is_a_trial_that_failed(journal: Path, tmp_path: Path) -> None:
    result = tried(Trial(98, "abandoned", abandoned), journal, tmp_path)
    assert not result.passed
    (complaint,) = result.complaints
    assert "asked for, but dead" in complaint
