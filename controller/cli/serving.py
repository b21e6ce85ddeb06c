"""Implementation of ``gridlab serve``, once its state folder is locked and emergency stops are executed."""

import asyncio
import logging
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from controller.api import serve as serving
from controller.cli.screens.loop import print_serving
from controller.cli.screens.status import print_released
from controller.process.clocks import WallClock
from controller.process.lock import FolderLock
from controller.process.stop_signals import StopSignals
from controller.runs import directory as run_directory
from controller.runs.description import SERVICE, described, write_description
from controller.service.setup import Setup
from controller.service.state_files import StateFiles
from controller.service.stores import AUDIT
from controller.simulation.options import require_converter
from controller.stop.order import StopSwitch
from core.config import Config
from core.devices import Outcome
from core.errors import GridlabError
from core.load import load_config


@dataclass(frozen=True)
class ServeOptions:
    """Options of the command."""

    config: Path
    out: Path | None
    state: Path
    live_port: int
    planner: Path | None
    quiet: bool


_log = logging.getLogger(__name__)


def serve_until_stopped(options: ServeOptions, stops: StopSwitch, signals: StopSignals, lock: FolderLock) -> None:
    """Serve until SIGTERM; ``lock`` is that of the state folder.

    Raises:
        InputError: the configuration cannot be served.
        GridlabError: a converter is not known to be safe at the end.
    """
    clock, settings, out = WallClock(), load_config(options.config), options.out
    require_converter(settings, options.config)
    continued = out and any((out / name).exists() for name in (AUDIT, settings.telemetry.sqlite))
    run_path = out if out and continued else run_directory.choose(out, settings.name, clock.now())
    files = StateFiles(options.state, lock)
    setup = Setup(settings, options.config, run_path, options.state, planner=options.planner)
    setup = replace(setup, stops=stops, signals=signals, files=files)
    _describe(run_path, settings, options.config, clock)
    started = partial(print_serving, run_path=run_path, quiet=options.quiet)
    outcomes = asyncio.run(serving.serve(setup, clock, options.live_port, started))
    if not options.quiet:
        print_released(outcomes)
    if unsafe := [name for name, outcome in outcomes.items() if outcome is not Outcome.VERIFIED]:
        raise GridlabError(f"not known to be safe, their leases end within 75 s: {', '.join(unsafe)}")


def _describe(run_path: Path, settings: Config, path: Path, clock: WallClock) -> None:
    """Keep what a report needs of the configuration; control does not depend on it."""
    try:
        run_path.mkdir(parents=True, exist_ok=True)
        write_description(run_path, described(settings, path, clock.now()))
    except OSError as error:
        _log.warning("%s/%s cannot be written, so there is no report: %s", run_path, SERVICE, error)
