"""The console program ``gridlab``.

Exit codes: 0 done; 1 failed while running; 2 bad input (one line per fault on stderr, nothing overwritten).

Modules of commands import at their top only what describes options. What a command needs to run is imported inside it,
so that ``gridlab --help``, shell completion and the commands of an operator load nothing else.
"""

import sys
from typing import Annotated

import typer

from controller.cli import authoring, keeping, laboratory, operation, operator, planning, runs, solving
from controller.process.private_files import private_files
from core.errors import GridlabError, InputError, SolverLicenceError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for command, example in (
    (authoring.init, "init demo"),
    (authoring.import_grid, "import-grid village.json --out village.yaml"),
    (authoring.derive_tree, "derive-tree village.yaml --out village_tree.yaml"),
    (authoring.schema, "schema > gridlab.schema.json"),
    (planning.plan, "plan configs/gridlab9.yaml --splitting constraint --max-iterations 300"),
    (solving.solve, "solve configs/dispatch.yaml --max-rounds 200"),
    (laboratory.simulate, "simulate configs/gridlab9.yaml --start 10:00 --end 19:00"),
    (laboratory.plant, "plant configs/gridlab9.yaml --pace 60"),
    (laboratory.chaos, "chaos configs/gridlab9.yaml --fault black-hole --seeds 5"),
    (laboratory.check, "check configs/gridlab9.yaml --probe"),
    (operation.serve, "serve configs/gridlab9.yaml"),
    (operator.status, "status"),
    (operator.mode, "mode active"),
    (operator.override, "override n4_converter --p 2.5 --for 10"),
    (operator.stop, "stop"),
    (keeping.backup, "backup /mnt/backup/state-2026-11-30 --state state"),
    (keeping.restore, "restore /mnt/backup/state-2026-11-30 --state state"),
    (operation.guardian, "guardian configs/gridlab9.yaml --state state"),
    (operation.planner, "planner --socket state/planner.sock"),
    (runs.report, "report runs/20180620T210000Z-gridlab9"),
    (runs.export, "export runs/20180620T210000Z-gridlab9 --parquet"),
    (runs.audit, "audit runs/20180620T210000Z-gridlab9"),
    (runs.import_influx, "import-influx runs/20180620T210000Z-gridlab9 lab.yaml"),
):
    app.command(epilog=f"Example: gridlab {example}")(command)
app.add_typer(planning.study_app, name="study")


def print_version(wanted: bool) -> None:
    """Print the version of the installed program and exit, if ``wanted``."""
    if wanted:
        from importlib.metadata import version

        print(f"gridlab {version('gridlab')}")  # noqa: T201
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Price-based control of prosumers in a distribution grid."""


def main() -> None:
    """Entry point: errors become one line each on stderr, and an exit code."""
    try:
        with private_files():
            code = app(standalone_mode=False)
    except typer.TyperException as error:
        code = fail(2, error.format_message())
    except (InputError, SolverLicenceError) as error:
        code = fail(2, error)
    except (GridlabError, OSError) as error:
        code = fail(1, error)
    except (KeyboardInterrupt, typer.Abort):
        code = fail(1, "interrupted")
    raise SystemExit(code)


def fail(code: int, message: object) -> int:
    """Print a message to stderr, and return the exit code."""
    if text := str(message):
        print(text, file=sys.stderr)  # noqa: T201
    return code
