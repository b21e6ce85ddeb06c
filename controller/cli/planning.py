"""Commands that compute without any device: prices, plans, and studies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.arguments import ConfigArgument, OutOption, QuietOption
from core.algorithms import SplittingName

if TYPE_CHECKING:
    from controller.studies.penalty import Study
    from core.config import Config

study_app = typer.Typer(no_args_is_help=True, help="Counterparts of the papers' studies.")


def plan(
    config: ConfigArgument,
    out: OutOption = None,
    splitting: Annotated[SplittingName | None, typer.Option(help="Algorithm.", show_default="as in CONFIG")] = None,
    uncoordinated: Annotated[
        bool, typer.Option("--uncoordinated", help="Only the baseline without coordination.")
    ] = False,
    max_iterations: Annotated[
        int | None, typer.Option(min=1, help="Limit of rounds.", show_default="as in CONFIG")
    ] = None,
    budget_s: Annotated[
        float | None, typer.Option(min=0.001, help="Limit of wall time, s.", show_default="as in CONFIG")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Compute day-ahead price signals and plans."""
    from controller.cli.screens import plan as screen
    from controller.cli.screens.terminal import print_cautions
    from controller.process.clocks import WallClock
    from controller.runs import directory as run_directory
    from controller.studies import day_ahead
    from core.load import load_config, load_scenario

    clock = WallClock()
    settings = with_options(load_config(config), splitting=splitting, max_iterations=max_iterations, budget_s=budget_s)
    run_path = run_directory.choose(out, settings.name, clock.now())
    print_cautions(load_scenario(settings, config).cautions, quiet)
    with screen.progress(settings.coordination, quiet) as observer:
        summary = day_ahead.plan(settings, config, run_path, clock, not uncoordinated, observer)
    if not quiet:
        screen.print_result(summary, run_path)


@study_app.command("rho", epilog="Example: gridlab study rho configs/gridlab9.yaml")
def study_rho(config: ConfigArgument, out: OutOption = None, quiet: QuietOption = False) -> None:
    """Residuals after 80 iterations over a constant penalty (figure 6 of the paper)."""
    from controller.studies.penalty import rho

    run_study(rho, "study-rho", config, out, quiet)


@study_app.command("price-response", epilog="Example: gridlab study price-response configs/gridlab9.yaml")
def study_price_response(config: ConfigArgument, out: OutOption = None, quiet: QuietOption = False) -> None:
    """Cost and violation of answers to the advertised price, over the penalty in it (figure 7 of the paper)."""
    from controller.studies.penalty import price_response

    run_study(price_response, "study-price-response", config, out, quiet)


@study_app.command("tree", epilog="Example: gridlab study tree --trees 500 --jobs 2")
def study_tree(
    trees: Annotated[
        int | None, typer.Option(min=1, help="Number of trees.", show_default="500, or as resumed")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all trees.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that study trees at the same time.")] = 1,
    out: OutOption = None,
    resume: Annotated[
        Path | None, typer.Option(help="Folder of a study that was interrupted.", show_default="a new study")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Random trees of aggregators: both algorithms and the central optimum (figures 3 and 4 of paper B).

    Ctrl-C keeps the finished trees; --resume goes on with the missing ones.
    """
    from controller.cli.screens import trees as screen
    from controller.process.clocks import WallClock
    from controller.process.interrupts import Interrupts
    from controller.runs import directory as run_directory
    from controller.studies.trees.campaign import AskedStudy, TreeStudy
    from controller.studies.trees.finish import finish

    clock = WallClock()
    if resume is not None:
        study = TreeStudy.resume(resume, trees)
    else:
        study = TreeStudy.begin(run_directory.choose(out, "study-tree", clock.now()), AskedStudy(trees or 500, seed))
    with screen.progress(study.asked.trees, quiet) as advance, Interrupts() as interrupts:
        finished = study.run(jobs, interrupts.requested, advance)
    if not finished:
        screen.print_interrupted(study.folder, len(study.missing))
        raise typer.Exit(1)
    summary = finish(study, clock)
    if not quiet:
        screen.print_result(summary, study.folder)


def run_study(kind: "Study", name: str, config: Path, out: Path | None, quiet: bool) -> None:
    """Run a study into a folder of its own, and print its path."""
    from controller.cli.screens import plan as screen
    from controller.cli.screens.terminal import print_path
    from controller.process.clocks import WallClock
    from controller.report import write_report
    from controller.runs import directory as run_directory
    from core.load import load_config

    clock = WallClock()
    settings = load_config(config)
    run_path = run_directory.choose(out, f"{settings.name}-{name}", clock.now())
    with screen.steps(name, quiet) as advance, run_directory.run_folder(run_path) as folder:
        kind(settings, config, folder, clock, advance)
    write_report(run_path)
    if not quiet:
        print_path(name, run_path)


def with_options(config: "Config", **options: Any) -> "Config":
    """The configuration with coordination settings replaced by command-line options; None keeps a setting."""
    changes = {key: value for key, value in options.items() if value is not None}
    return config.model_copy(update={"coordination": config.coordination.model_copy(update=changes)})
