"""``gridlab chaos``: trials of many faults and seeds, several in parallel, and the tables of their results."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from controller.chaos.table import write_tables
from controller.chaos.trial_run import TrialResult, prepare, run
from controller.chaos.trials import TRIALS, Trial
from core.errors import Fault, InputError


@dataclass(frozen=True)
class FaultCampaign:
    """The trials to run.

    Attributes:
        path: the configuration file.
        numbers: numbers of the faults.
        seeds: seeds per fault, 0 … seeds − 1.
        folder: where tables and trials are written.
        keep: whether to keep the records of passed trials.
        jobs: trials in parallel.
    """

    path: Path
    numbers: Sequence[int]
    seeds: int
    folder: Path
    keep: bool
    jobs: int


def fault_numbers(fault: str | None) -> tuple[int, ...]:
    """Numbers of the faults that ``--fault`` selects: one, by name or number, or all.

    Raises:
        InputError: there is no such fault.
    """
    numbers = tuple(trial.number for trial in TRIALS if fault in (None, trial.name, str(trial.number)))
    if not numbers:
        names = ", ".join(f"{trial.number} {trial.name}" for trial in TRIALS)
        raise InputError([Fault("--fault", "", str(fault), f"a number or a name: {names}")])
    return numbers


def run_campaign(campaign: FaultCampaign, observe: Callable[[TrialResult, int], None]) -> list[TrialResult]:
    """Run all trials and write the tables.

    Args:
        observe: called with each result and the total number of trials.

    Raises:
        InputError, SolverError: the configuration has no plan for its day.
    """
    campaign.folder.mkdir(parents=True, exist_ok=True)
    total = len(campaign.numbers) * campaign.seeds
    results = []
    with TemporaryDirectory() as scratch:
        journal = prepare(campaign.path, Path(scratch))
        for result in _results(campaign, journal):
            results.append(result)
            observe(result, total)
    results.sort(key=lambda result: (result.number, result.seed))
    write_tables(results, campaign.folder)
    return results


def _results(campaign: FaultCampaign, journal: Path) -> Iterator[TrialResult]:
    """Results in the order of completion. Processes are spawned: forked ones would share event loops and
    connections.
    """
    with ProcessPoolExecutor(campaign.jobs, multiprocessing.get_context("spawn")) as pool:
        futures: list[Future[TrialResult]] = [
            pool.submit(_trial, number, seed, campaign, journal)
            for seed in range(campaign.seeds)
            for number in campaign.numbers
        ]
        for future in as_completed(futures):
            yield future.result()


def _trial(number: int, seed: int, campaign: FaultCampaign, journal: Path) -> TrialResult:
    trial = _trial_of(number)
    folder = campaign.folder / f"{number:02}-{trial.name}-{seed}"
    result = run(trial, seed, campaign.path.resolve(), journal, folder)
    if result.passed and not campaign.keep:
        rmtree(folder)
    return result


def _trial_of(number: int) -> Trial:
    return next(trial for trial in TRIALS if trial.number == number)
