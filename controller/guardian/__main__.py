"""``python -m controller.guardian CONFIG --state DIR``: the guardian in real time, until SIGTERM.

Exit codes as of ``gridlab``: 0 it was stopped, 1 it failed, 2 bad input. No library of optimisation is
loaded. The service manager is told after every look at the heartbeat.
"""

import argparse
import asyncio
import logging
import signal
import sys
from functools import partial
from pathlib import Path

from controller.guardian.guardian import GuardianSetup, on_duty, run_guardian
from controller.process.clocks import WallClock
from controller.process.systemd import READY, STOPPING, WATCHDOG, notify
from core.errors import GridlabError, InputError
from core.load import load_config

FAILED, BAD_INPUT = 1, 2


def main() -> int:
    """Guard; the exit code."""
    given = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(_guard(on_duty(load_config(given.config), given.config, given.state)))
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    except (GridlabError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    text = "Writes the safe state to every converter of a scenario when its service falls silent."
    parser = argparse.ArgumentParser(prog="gridlab guardian", description=text)
    parser.add_argument("config", type=Path, help="scenario, a YAML file; that of the service")
    parser.add_argument(
        "--state", type=Path, default=Path("state"), help="folder of what outlives a run (default state)"
    )
    return parser


async def _guard(setup: GuardianSetup) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_guardian(setup, WallClock(), stop, looked=partial(notify, READY, WATCHDOG))
    notify(STOPPING)


if __name__ == "__main__":
    sys.exit(main())
