"""Terminal output of ``gridlab chaos``: a line for each trial, then a row for each fault."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from controller.chaos.table import COLUMNS, rows
from controller.chaos.trial_run import TrialResult
from controller.cli.screens.terminal import console


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[TrialResult, int], None]]:
    """A progress bar over the trials; yields a callback that prints a line for each trial, and what failed in it."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=quiet, transient=True) as bar:
        task = bar.add_task("trials")

        def observe(result: TrialResult, total: int) -> None:
            bar.update(task, total=total, advance=1)
            if not quiet or not result.passed:
                for line in _lines(result):
                    console.print(line)

        yield observe


def print_table(results: Sequence[TrialResult]) -> None:
    """Print one row per fault."""
    table = Table(*COLUMNS)
    for row in rows(results):
        table.add_row(*row.cells, style=None if row.passed == row.trials else "red")
    console.print(table)


def _lines(result: TrialResult) -> Iterator[str]:
    verdict = "[green]safe" if result.passed else "[red]failed"
    where = f" at {result.device}" if result.device else ""
    when = f", {result.at:%H:%M:%S}" if result.at else ""
    yield f"{result.number:2d} {result.name}, seed {result.seed}: {result.what}{where}{when}: {verdict}"
    for what in (*result.broken, *result.complaints):
        yield f"   {what}"
