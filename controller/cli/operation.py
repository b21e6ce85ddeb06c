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
    from controller.process.stop_signals import StopSignals

    signals = StopSignals()
    signals.hold()
    from controller.guardian.answering import service_stops
    from controller.process.commanded import lower
    from controller.process.lock import SERVICE_LOCK, exclusive_lock
    from controller.process.modes import Mode
    from controller.stop.order import StopSwitch

    log_to_stderr()
    stops = StopSwitch()
    with exclusive_lock(state, SERVICE_LOCK, "service") as lock, service_stops(state, stops):
        from controller.cli.serving import ServeOptions, serve_until_stopped  # takes seconds; a stop does not wait

        try:
            serve_until_stopped(ServeOptions(config, out, state, live_port, planner, quiet), stops, signals, lock)
        finally:
            if signals.seen:
                lower(state, Mode.MONITOR, "a signal")


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
