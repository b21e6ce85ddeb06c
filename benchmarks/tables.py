"""Tables of results for the terminal and for pages of the docs."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill

from rich.console import Console
from rich.table import Table

PROSE_WIDTH = 140
"""Width of prose in the docs, characters."""


@dataclass
class ResultTable:
    """A title, column headings, and rows of cells that are already text."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Append a row."""
        self.rows.append(cells)

    def show(self, console: Console) -> None:
        """Print on a terminal."""
        table = Table(*self.columns, title=self.title, title_justify="left")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)

    def markdown(self) -> str:
        """The table as Markdown, with numbers to the right."""
        lines = [self.columns, [":--", *["--:"] * (len(self.columns) - 1)], *self.rows]
        return "\n".join([f"**{self.title}**", "", *(_line(cells) for cells in lines)])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


class Targets(ResultTable):
    """What was asked, what was measured, and whether the target is met; ``missed`` if any is not."""

    def __init__(self) -> None:
        super().__init__("Asked and measured", ["asked", "measured", ""])
        self.missed = False

    def check(self, asked: str, measured: str, met: bool) -> None:
        """Append a row for one target."""
        self.missed |= not met
        self.add(asked, measured, "met" if met else "**missed**")


def replace_block(page: Path, name: str, tables: Iterable[ResultTable], caption: str) -> None:
    """Put tables between ``<!-- run: name -->`` and ``<!-- end -->``.

    Raises:
        ValueError: the page has no such block.
    """
    prose = fill(f"*{caption}*", PROSE_WIDTH, break_long_words=False, break_on_hyphens=False)
    block = "\n\n".join([*(table.markdown() for table in tables), prose])
    text, found = re.subn(
        rf"(<!-- run: {name} -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}{block}\n{match[2]}",
        page.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    if not found:
        raise ValueError(f"{page} has no block {name}")
    page.write_text(text, encoding="utf-8")


def three_digits(value: float) -> str:
    """Three digits, and all digits before the point: 0.123, 12.3, 12 345."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}".replace(",", " ")


def milliseconds(seconds: float) -> str:
    """Seconds as text in ms."""
    return three_digits(1e3 * seconds)


def ratio(a: float, b: float) -> str:
    """``a / b`` as text."""
    return f"{a / b:.2f}×" if a < 10 * b else f"{a / b:.0f}×"
