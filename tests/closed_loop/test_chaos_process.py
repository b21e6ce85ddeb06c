"""Each fault of the controller's process, its planner and its clock once; and trials that must fail."""

from datetime import timedelta
from pathlib import Path

from controller.chaos.injection import WARM_S, InjectionResult, TrialContext
from controller.chaos.trials import Trial
from controller.judge.case import InjectedFault, Kind
from controller.judge.histories import read_histories
from tests.closed_loop.chaos_trials import assert_safe, named, tried


@named(1, 2, 3, 4, 5, 6, 21, 31, 32, 33, 40, 41, 42, 43)
def test_a_fault_of_the_process_is_judged_safe(trial: Trial, journal: Path, tmp_path: Path) -> None:
    assert_safe(tried(trial, journal, tmp_path))


async def restarted_mid_minute(context: TrialContext) -> InjectionResult:
    """A death between two cycles, a takeover by the guardian, and a restart in the middle of a half minute."""
    faulted = context.faulted
    await faulted.run_until(100.0)
    await faulted.kill()
    begins = faulted.now
    await faulted.run_until(155.0)
    ends = faulted.now
    await faulted.restart()
    await faulted.run_until(300.0)
    return InjectionResult(InjectedFault("death", 1, None, begins, ends, Kind.DEATH))


def test_after_a_restart_cycles_come_every_5_s_and_ramp_from_the_release(journal: Path, tmp_path: Path) -> None:
    assert_safe(tried(Trial(97, "resumed", restarted_mid_minute), journal, tmp_path))
    histories = read_histories(next(tmp_path.glob("**/frames.jsonl")).parent)
    start = histories.decisions[0].time
    seconds = {(decision.time - start).total_seconds() for decision in histories.decisions}
    assert {at_s for at_s in seconds if 90.0 < at_s < 200.0} == {155.0, 160.0, 165.0, 170.0, 175.0, 180.0}
    told = {
        ((frame.time - start).total_seconds(), frame.device): abs(frame.s_kva)
        for frame in histories.frames
        if frame.enable
    }
    reach_kva = {at_s: max(s_kva for (t, _), s_kva in told.items() if t == at_s) for at_s in (155.0, 160.0)}
    assert 0.5 < reach_kva[155.0] <= 0.25 * 5.0
    assert reach_kva[155.0] < reach_kva[160.0] <= 0.25 * 10.0


async def undeclared_death(context: TrialContext) -> InjectionResult:
    """The controller dies, but what is on record as the fault is something harmless."""
    faulted = context.faulted
    await faulted.run_until(WARM_S)
    await faulted.kill()
    await faulted.run_until(2 * WARM_S)
    begins = faulted.now - timedelta(seconds=WARM_S)
    return InjectionResult(InjectedFault("nothing", 99, None, begins, begins, Kind.OTHER))


def test_a_death_that_no_fault_explains_is_not_judged_safe(journal: Path, tmp_path: Path) -> None:
    result = tried(Trial(99, "unconfessed", undeclared_death), journal, tmp_path)
    assert not result.passed
    assert any(broken.startswith("13: all no cycle for") for broken in result.broken)


async def abandoned(context: TrialContext) -> InjectionResult:
    """An injection that asks a controller which no longer runs."""
    await context.faulted.kill()
    await context.faulted.activate()
    raise AssertionError


def test_a_run_that_fails_is_a_trial_that_failed(journal: Path, tmp_path: Path) -> None:
    result = tried(Trial(98, "abandoned", abandoned), journal, tmp_path)
    assert not result.passed
    (complaint,) = result.complaints
    assert "not running" in complaint
