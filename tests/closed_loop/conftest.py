"""Runs that several tests look at: made once, as a user would make them."""

from pathlib import Path

import pytest

from controller.chaos.trial_run import prepare
from controller.runs.directory import Run
from tests.support.commands import gridlab_process
from tests.support.paths import CONFIG
from tests.support.simulated_day import Simulate


@pytest.fixture(scope="session")
def simulate(tmp_path_factory: pytest.TempPathFactory) -> Simulate:
    """Simulate a scenario (the default one) into a new folder; the run, read back."""

    def run(*words: object, config: Path = CONFIG) -> Run:
        folder = tmp_path_factory.mktemp("run") / "run"
        ended = gridlab_process("simulate", config, "--out", folder, "--quiet", *words)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
        return Run(folder)

    return run


@pytest.fixture(scope="session")
def midday(simulate: Simulate) -> Run:
    """An hour and a half in which limits bind."""
    return simulate("--start", "11:30", "--end", "13:00", "--seed", 7)


@pytest.fixture(scope="session")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the day-ahead plan that trials begin with."""
    return prepare(CONFIG, tmp_path_factory.mktemp("prepared"))
