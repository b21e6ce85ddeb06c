"""Run benchmarks and print their tables; ``--write`` puts them into docs/benchmarks.md."""

import sys
from argparse import ArgumentParser
from importlib import import_module

from rich.console import Console

from benchmarks.cases import ROOT
from benchmarks.measure import machine
from benchmarks.tables import replace_block

PAGE = ROOT / "docs" / "benchmarks.md"
BENCHMARKS = (
    "default_scenario",
    "accuracy",
    "ablation",
    "scaling",
    "threads",
    "power_flow",
    "prosumer_qp",
    "trees",
    "intra_day",
    "dispatch",
    "telemetry",
    "fuzz_api",
    "commands",
)


def main() -> None:
    """Run the benchmarks that the command line names, or all of them."""
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--write", action="store_true", help="update the tables of docs/benchmarks.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")

    console = Console(width=None if sys.stdout.isatty() else 160)
    caption = f"Measured on {machine()}."
    console.print(caption, highlight=False)
    for name in arguments.names or BENCHMARKS:
        console.rule(name)
        tables = []
        for table in import_module(f"benchmarks.{name}").run():
            table.show(console)
            tables.append(table)
        if arguments.write:
            replace_block(PAGE, name, tables, caption)


if __name__ == "__main__":
    main()
