"""A proof in parts, each of which writes its block of tables on a page."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from rich.console import Console

from benchmarks.measure import machine
from benchmarks.tables import ResultTable, Targets, replace_block

Parts = Mapping[str, Callable[[Console], Iterable[ResultTable]]]


def measure_parts(page: Path, parts: Parts, description: str | None) -> None:
    """Run the parts that the command line names, or all; print their tables and write them to the page.

    Ends with exit code 1 if a target was missed.
    """
    parser = ArgumentParser(description=description)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(parts)}; all by default")
    names = parser.parse_args().parts or list(parts)
    if unknown := set(names) - set(parts):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    console, missed = Console(width=160), False
    for name in names:
        console.rule(name)
        tables = list(parts[name](console))
        for table in tables:
            table.show(console)
        replace_block(page, name, tables, f"Measured on {machine()}.")
        missed |= any(isinstance(table, Targets) and table.missed for table in tables)
    sys.exit(missed)
