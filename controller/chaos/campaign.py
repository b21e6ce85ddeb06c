"""``gridlab chaos``: trials of many faults and seeds, several at a time, and the tables of their results."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from controller.chaos.running import Result, prepare, run
from controller.chaos.table import write_tables
from controller.chaos.trials import TRIALS, Trial
from core.errors import Fault, InputError


@dataclass(frozen=True)
class Campaign:
    """What is to be tried.

    Attributes:
        path: of the configuration.
        seeds: of each fault, 0 … seeds − 1.
        folder: of tables and trials.
        keep: the records of trials that passed as well.
        jobs: trials at a time.
    """

    path: Path
    numbers: Sequence[int]
    seeds: int
    folder: Path
    keep: bool
    jobs: int


def chosen(fault: str | None) -> tuple[int, ...]:
    """Numbers of the faults that ``--fault`` means: one, by name or number, or all.

    Raises:
        InputError: there is no such fault.
    """
    numbers = tuple(trial.number for trial in TRIALS if fault in (None, trial.name, str(trial.number)))
    if not numbers:
        names = ", ".join(f"{trial.number} {trial.name}" for trial in TRIALS)
        raise InputError([Fault("--fault", "", str(fault), f"a number or a name: {names}")])
    return numbers


def run_campaign(campaign: Campaign, observe: Callable[[Result, int], None]) -> list[Result]:
    """Run everything and write the tables.

    Args:
        observe: told of each result, and of how many there will be.

    Raises:
        InputError, SolverError: the configuration allows no plan of its day.
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


def _results(campaign: Campaign, journal: Path) -> Iterator[Result]:
    """As they come; spawned, since a forked process would share the event loops and connections of this one."""
    with ProcessPoolExecutor(campaign.jobs, multiprocessing.get_context("spawn")) as pool:
        futures: list[Future[Result]] = [
            pool.submit(_trial, number, seed, campaign, journal)
            for seed in range(campaign.seeds)
            for number in campaign.numbers
        ]
        for future in as_completed(futures):
            yield future.result()


def _trial(number: int, seed: int, campaign: Campaign, journal: Path) -> Result:
    trial = _of(number)
    folder = campaign.folder / f"{number:02}-{trial.name}-{seed}"
    result = run(trial, seed, campaign.path.resolve(), journal, folder)
    if result.passed and not campaign.keep:
        rmtree(folder)
    return result


def _of(number: int) -> Trial:
    return next(trial for trial in TRIALS if trial.number == number)
