"""Trials of `gridlab chaos` as tests: one of each fault, judged by what its run recorded."""

from pathlib import Path

import pytest

from controller.chaos.trial_run import TrialResult, run
from controller.chaos.trials import TRIALS, Trial
from tests.support.paths import CONFIG


def named(*numbers: int) -> pytest.MarkDecorator:
    """A test for each of these faults, called by its name."""
    trials = [trial for trial in TRIALS if trial.number in numbers]
    assert len(trials) == len(numbers)
    return pytest.mark.parametrize("trial", trials, ids=[f"{trial.number}-{trial.name}" for trial in trials])


def tried(trial: Trial, journal: Path, folder: Path, seed: int = 0) -> TrialResult:
    """What became of it."""
    return run(trial, seed, CONFIG, journal, folder / "run")


def assert_safe(result: TrialResult) -> None:
    """Nothing broken, lost, late, or complained of."""
    assert (result.broken, result.complaints, result.points_lost) == ((), (), 0)
    assert result.passed
