"""Terminal output of the study of trees: progress, and the result."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from controller.cli.screens.terminal import console, print_path


@contextmanager
def progress(trees: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar over the trees; yields a callback for the number that is finished."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=quiet, transient=True) as bar:
        task = bar.add_task("trees", total=trees)
        yield lambda finished: bar.update(task, completed=finished)


def print_interrupted(folder: Path, missing: int) -> None:
    """Say what is kept, and how to go on."""
    console.print(f"interrupted: finished trees are kept, {missing} are missing; go on with")
    console.print(f"  gridlab study tree --resume {quote(str(folder))}", soft_wrap=True)


def print_result(summary: dict[str, Any], folder: Path) -> None:
    """Print rounds and CPU time by algorithm, and the path of the report."""
    table = Table(title=f"{summary['trees']} random trees: rounds to 0.1 % of optimum and limits")
    table.add_column("algorithm", no_wrap=True)
    for heading in ("reached", "median", "p90", "worst", "/ tree", "CPU ms per prosumer, by level"):
        table.add_column(heading, justify="right")
    for name, found in summary["algorithms"].items():
        rounds = [_rounds(found["reached_round"][which]) for which in ("median", "p90", "worst")]
        ratio = summary["rounds_ratio"].get(name)
        cpu = ", ".join(f"{ms:.0f}" for ms in found["cpu_ms_per_agent"].values())
        table.add_row(name, f"{found['reached']}", *rounds, "" if ratio is None else f"{ratio:.2f}", cpu)
    console.print(table)
    print_path("report", folder / "report.html")


def _rounds(number: float | None) -> str:
    return "never" if number is None else f"{number:.0f}"
