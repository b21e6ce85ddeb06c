"""``python -m controller.guardian CONFIG --state DIR``: the guardian in real time, until SIGTERM.

Exit code 0: stopped, 1: failed, 2: bad input. No optimisation library is loaded. The service manager gets a watchdog
message after every check of the heartbeat.
"""

import argparse
import asyncio
import logging
import signal
import sys
from functools import partial
from pathlib import Path

from controller.guardian.guardian import GuardianSetup, realtime_setup, run_guardian
from controller.process.clocks import WallClock
from controller.process.private_files import private_files
from controller.process.systemd import READY, STOPPING, WATCHDOG, notify
from core.errors import GridlabError, InputError
from core.load import load_config

FAILED, BAD_INPUT = 1, 2


def main() -> int:
    """Run the guardian; returns the exit code."""
    args = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        with private_files():
            asyncio.run(_guard(realtime_setup(load_config(args.config), args.config, args.state)))
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    except (GridlabError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    text = "Puts every converter of a scenario into its safe state when its service stops giving signs of life."
    parser = argparse.ArgumentParser(prog="gridlab guardian", description=text)
    parser.add_argument("config", type=Path, help="scenario of the service, a YAML file")
    parser.add_argument("--state", type=Path, default=Path("state"), help="state folder of the service (default state)")
    return parser


async def _guard(setup: GuardianSetup) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_guardian(setup, WallClock(), stop, on_step=partial(notify, READY, WATCHDOG))
    notify(STOPPING)


if __name__ == "__main__":
    sys.exit(main())
