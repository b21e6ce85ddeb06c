"""The console program ``gridlab``.

Exit codes: 0 done; 1 failed while running; 2 bad input (one line per fault on stderr, nothing overwritten).
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from controller import planning, run_directory, screen, study
from controller.clock import WallClock
from controller.report import write_report
from core.config import Config
from core.errors import GridlabError, InputError, SolverLicenceError
from core.load import load_config, load_scenario

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Price-based control of prosumers in a distribution grid.",
)
study_app = typer.Typer(no_args_is_help=True, help="Counterparts of the paper's convergence studies.")
app.add_typer(study_app, name="study")

ConfigArgument = Annotated[Path, typer.Argument(help="Scenario, a YAML file.", metavar="CONFIG", show_default=False)]
OutOption = Annotated[
    Path | None, typer.Option(help="Folder of the run; new, or empty.", show_default="runs/<UTC time>-<name>")
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]


@app.command(epilog="Example: gridlab plan configs/gridlab9.yaml --splitting constraint --max-iterations 300")
def plan(
    config: ConfigArgument,
    out: OutOption = None,
    splitting: Annotated[
        Literal["profile", "constraint"] | None, typer.Option(help="Algorithm.", show_default="as in CONFIG")
    ] = None,
    uncoordinated: Annotated[bool, typer.Option("--uncoordinated", help="The selfish baseline alone.")] = False,
    max_iterations: Annotated[
        int | None, typer.Option(min=1, help="Rounds at most.", show_default="as in CONFIG")
    ] = None,
    budget_s: Annotated[
        float | None, typer.Option(min=0.001, help="Wall clock at most, s.", show_default="as in CONFIG")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Compute day-ahead price signals and plans."""
    clock = WallClock()
    settings = with_options(load_config(config), splitting=splitting, max_iterations=max_iterations, budget_s=budget_s)
    run_path = run_directory.choose(out, settings.name, clock.now())
    with screen.progress(settings.coordination, quiet) as observer:
        summary = planning.plan(settings, config, run_path, clock, not uncoordinated, observer)
    if not quiet:
        screen.print_result(summary, run_path)


@app.command(epilog="Example: gridlab report runs/20180620T210000Z-gridlab9")
def report(
    run_dir: Annotated[Path, typer.Argument(help="A run directory.", metavar="RUN_DIR", show_default=False)],
    quiet: QuietOption = False,
) -> None:
    """Rebuild report.html from a run."""
    path = write_report(run_dir)
    if not quiet:
        screen.print_path("report", path)


@app.command(epilog="Example: gridlab check configs/gridlab9.yaml")
def check(config: ConfigArgument, quiet: QuietOption = False) -> None:
    """Validate a scenario and all files that it names."""
    checked = load_config(config)
    for variant in ("forecast", "realised"):
        load_scenario(checked, config, variant)
    if not quiet:
        screen.print_checked(checked, config)


@app.command(epilog="Example: gridlab plant configs/gridlab9.yaml --pace 60")
def plant(
    config: ConfigArgument,
    pace: Annotated[float, typer.Option(min=0.001, help="Simulated seconds per second.")] = 1.0,
) -> None:
    """Run the simulated laboratory at the addresses of its devices, until it is told to stop."""
    load_config(config)
    os.execv(sys.executable, [sys.executable, "-m", "sim_plant", str(config), "--pace", str(pace)])


@study_app.command("rho", epilog="Example: gridlab study rho configs/gridlab9.yaml")
def study_rho(config: ConfigArgument, out: OutOption = None, quiet: QuietOption = False) -> None:
    """Residuals after 80 iterations over a constant penalty (figure 6 of the paper)."""
    run_study(study.rho, "study-rho", config, out, quiet)


@study_app.command("price-response", epilog="Example: gridlab study price-response configs/gridlab9.yaml")
def study_price_response(config: ConfigArgument, out: OutOption = None, quiet: QuietOption = False) -> None:
    """Cost and violation when everybody minimises the advertised price, over the penalty in it (figure 7)."""
    run_study(study.price_response, "study-price-response", config, out, quiet)


def run_study(kind: study.Study, name: str, config: Path, out: Path | None, quiet: bool) -> None:
    """Run a study into a folder of its own and say where it is."""
    clock = WallClock()
    settings = load_config(config)
    run_path = run_directory.choose(out, f"{settings.name}-{name}", clock.now())
    with screen.steps(name, quiet) as advance, run_directory.written(run_path) as folder:
        kind(settings, config, folder, clock, advance)
    if not quiet:
        screen.print_path(name, run_path)


def with_options(config: Config, **options: Any) -> Config:
    """The configuration with command-line options in place of its coordination settings; None leaves one as it is."""
    given = {key: value for key, value in options.items() if value is not None}
    return config.model_copy(update={"coordination": config.coordination.model_copy(update=given)})


def main() -> None:
    """Entry point: errors become one line each on stderr, and an exit code."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        code = fail(2, error.format_message())
    except (InputError, SolverLicenceError) as error:
        code = fail(2, error)
    except (GridlabError, OSError) as error:
        code = fail(1, error)
    except (KeyboardInterrupt, typer.Abort):
        code = fail(1, "interrupted; nothing was written")
    raise SystemExit(code)


def fail(code: int, message: object) -> int:
    """Say what is wrong, give back the exit code."""
    if text := str(message):
        print(text, file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    main()
