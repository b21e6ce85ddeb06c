"""Terminal output of ``gridlab solve``: progress by rounds, and the result."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from controller.cli.screens.terminal import console, print_path, rounds_text
from mpc.coordination.solving import SolveRound

MOST_ROWS = 24
"""A longer table is cut; its file has all rows."""


@contextmanager
def progress(name: str, max_rounds: int, quiet: bool) -> Iterator[Callable[[SolveRound], None]]:
    """A progress bar over the rounds with objective, gap and violation; yields a callback for each round."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=quiet, transient=True) as bar:
        task = bar.add_task(name, total=max_rounds, state="")

        def observe(each: SolveRound) -> None:
            known = {"objective": each.objective, "gap": each.gap_rel, "violation": each.violation}
            parts = [f"{what} {value:.4g}" for what, value in known.items() if value is not None]
            bar.update(task, completed=each.round, state="  ".join([f"round {each.round:3d}", *parts]))

        yield observe


def print_result(summary: Mapping[str, Any], shown: pd.DataFrame, run_path: Path) -> None:
    """Print the table of the kind, how it ended, and the path of the report."""
    table = Table(title=f"{summary['name']}, {summary['kind']}")
    for column, numeric in zip(shown.columns, map(pd.api.types.is_numeric_dtype, shown.dtypes), strict=True):
        table.add_column(str(column), justify="right" if numeric else "left")
    for row in shown.head(MOST_ROWS).itertuples(index=False, name=None):
        table.add_row(*map(_cell, row))
    console.print(table)
    if len(shown) > MOST_ROWS:
        console.print(f"and {len(shown) - MOST_ROWS} more rows")
    for line in _verdict(summary):
        console.print(line)
    print_path("report", run_path / "report.html")


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return "–" if pd.isna(value) else f"{round(value, 4) + 0.0:.4g}"  # no -0


def _verdict(summary: Mapping[str, Any]) -> Iterator[str]:
    gap = "no certificate" if summary["gap_rel"] is None else f"certified gap {summary['gap_rel']:.1e}"
    colour = {"converged": "green", "neighbourhood": "green", "infeasible": "red"}.get(summary["status"], "yellow")
    rounds = f"after {rounds_text(summary['rounds'])} in {summary['wall_s']:.3g} s"
    yield f"[bold {colour}]{summary['status']}[/] {rounds}; {gap}"
    if summary["objective"] is not None:
        yield _objective(summary)
    if summary["violation"] is not None:
        yield f"limits left by at most {summary['violation']:.3g} of their size"
    if summary["silent"]:
        yield f"[yellow]silent: {', '.join(summary['silent'])}"
    yield f"{summary['participants']} participants, {summary['messages']} messages, {summary['bytes']} bytes"


def _objective(summary: Mapping[str, Any]) -> str:
    """The objective and its bound; a bound of a tree holds for the objective with the price of what cannot be held."""
    currency = f" {summary['currency']}" if "currency" in summary else ""
    unheld = summary.get("unheld_chf") or 0.0
    priced = f" + {unheld:.6g}{currency} for what is not held" if unheld > 0 else ""
    of_both = " of the sum" if unheld > 0 else ""
    bound = "" if summary["bound"] is None else f", lower bound{of_both} {summary['bound']:.6g}{currency}"
    return f"objective {summary['objective']:.6g}{currency}{priced}{bound}"
