"""Commands of the laboratory's computer: the service, its planner, its guardian."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.arguments import (
    ConfigArgument,
    LivePortOption,
    OutOption,
    PlannerOption,
    QuietOption,
    StateOption,
)
from core.errors import GridlabError


def serve(
    config: ConfigArgument,
    out: OutOption = None,
    state: StateOption = Path("state"),
    live_port: LivePortOption = 8484,
    planner: PlannerOption = None,
    quiet: QuietOption = False,
) -> None:
    """Control the devices of a scenario until SIGTERM; begins in MONITOR, see `gridlab mode`.

    An --out that an earlier `serve` has written to is continued.
    """
    import asyncio
    from functools import partial

    from controller.api import serve as serving
    from controller.cli.screens.loop import print_serving
    from controller.cli.screens.status import print_released
    from controller.process.clocks import WallClock
    from controller.runs import directory as run_directory
    from controller.service.setup import Setup
    from controller.service.stores import AUDIT
    from controller.simulation.options import require_converter
    from core.devices import Outcome
    from core.load import load_config

    clock, settings = WallClock(), load_config(config)
    require_converter(settings, config)
    run_path = out if out and (out / AUDIT).exists() else run_directory.choose(out, settings.name, clock.now())
    setup = Setup(settings, config, run_path, state, planner=planner)
    log_to_stderr()
    started = partial(print_serving, run_path=run_path, quiet=quiet)
    outcomes = asyncio.run(serving.serve(setup, clock, live_port, started))
    if not quiet:
        print_released(outcomes)
    if unsafe := [name for name, outcome in outcomes.items() if outcome is not Outcome.VERIFIED]:
        raise GridlabError(f"not known to be safe, their leases end within 75 s: {', '.join(unsafe)}")


def planner(
    socket: Annotated[Path, typer.Option(help="Socket file to listen on.", show_default=False)],
) -> None:
    """Compute plans for a `gridlab serve --planner`, until SIGTERM; needs no network."""
    import asyncio

    from controller.planner.server import serve

    log_to_stderr()
    asyncio.run(serve(socket))


def guardian(config: ConfigArgument, state: StateOption = Path("state")) -> None:
    """Write the safe state to every converter when the service of this state folder falls silent; until SIGTERM."""
    os.execv(sys.executable, [sys.executable, "-m", "controller.guardian", str(config), "--state", str(state)])


def log_to_stderr() -> None:
    """Log to stderr, which a service manager records."""
    import logging

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
