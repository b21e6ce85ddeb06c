"""The terminal, and output common to several commands."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from core.errors import Caution

console = Console(highlight=False)
warnings = Console(stderr=True, highlight=False)


def prosumer_table(title: str, *headings: str) -> Table:
    """An empty table with a row per prosumer and columns of numbers."""
    table = Table(title=title)
    table.add_column("prosumer")
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def rounds_text(number: int) -> str:
    """A number of rounds in words."""
    return f"{number} round{'' if number == 1 else 's'}"


def print_path(what: str, path: Path) -> None:
    """Print a path on a line of its own, so that it can be copied."""
    console.print(f"{what}: {path}", soft_wrap=True)


def print_cautions(cautions: Iterable[Caution], quiet: bool) -> None:
    """Print each caution once, a line each, to stderr."""
    for caution in () if quiet else dict.fromkeys(cautions):
        warnings.print(f"warning: {caution}", markup=False, soft_wrap=True, style="yellow")
