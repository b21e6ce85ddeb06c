"""The command for problems other than a day of prosumers: one command, and a kind in each file."""

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.arguments import OutOption, QuietOption


def solve(
    config: Annotated[
        Path, typer.Argument(help="Problem, a YAML file with a `kind`.", metavar="CONFIG", show_default=False)
    ],
    algorithm: Annotated[
        str | None, typer.Option(help="Algorithm, one of the kind.", metavar="NAME", show_default="the first")
    ] = None,
    max_rounds: Annotated[int | None, typer.Option(min=1, help="Limit of rounds.", show_default="1000")] = None,
    budget_s: Annotated[float | None, typer.Option(min=0.001, help="Limit of wall time, s.", show_default="60")] = None,
    link: Annotated[
        str | None,
        typer.Option(help="Links that lose or delay messages: loss=0.3,delay_rounds=2,seed=1.", show_default="perfect"),
    ] = None,
    out: OutOption = None,
    quiet: QuietOption = False,
) -> None:
    """Solve a problem of any kind; Ctrl-C ends it with the best result so far."""
    from controller.cli.screens import solve as screen
    from controller.cli.screens.terminal import print_cautions
    from controller.process.clocks import WallClock
    from controller.runs import directory as run_directory
    from controller.solve.options import request
    from controller.solve.run import record
    from controller.solve.run import solve as solve_problem
    from core.load import load_problem

    clock, problem = WallClock(), load_problem(config)
    asked = request(problem, algorithm, max_rounds, budget_s, link)
    run_path = run_directory.choose(out, problem.name, clock.now())
    with screen.progress(problem.name, asked.max_rounds, quiet) as observe:
        solved = solve_problem(problem, config, asked, clock, observe)
    record(solved, run_path)
    print_cautions(solved.cautions, quiet)
    if not quiet:
        screen.print_result(solved.summary, solved.shown, run_path)
