"""``python -m sim_plant CONFIG``: run the plant of a configuration as a separate process.

Once every server listens it prints one JSON line, ``{"control": port, "devices": {…}}``, and runs until SIGTERM, SIGINT
or a ``stop`` request on the control socket.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from core.errors import GridlabError, InputError
from core.load import load_config
from sim_plant.plant import open_plant
from sim_plant.reports import address
from sim_plant.settings import PlantConfig, plant_config

FAILED, BAD_INPUT = 1, 2
_NOISY = ("asyncua", "pymodbus")
"""Libraries that log every malformed request; the client already gets an error response."""


def main() -> int:
    """Run the plant. Exit code 0: stopped on request, 1: failed while running, 2: bad input."""
    args = _parser().parse_args()
    for library in _NOISY:
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
    try:
        asyncio.run(_run(_plant_config(args), until_eof=args.until_eof))
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    except GridlabError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sim_plant", description="The simulated laboratory of a configuration file.")
    parser.add_argument("config", type=Path)
    parser.add_argument("--lock-step", action="store_true", help="time advances only by the control socket")
    parser.add_argument("--pace", type=float, default=1.0, help="plant seconds per second of wall time (default 1)")
    parser.add_argument("--start", type=datetime.fromisoformat, help="initial time of the devices' clocks, with zone")
    parser.add_argument("--seed", type=int, default=0, help="seed of the meters' noise")
    parser.add_argument("--free-ports", action="store_true", help="listen on free ports instead of the configured ones")
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--frames", type=Path, help="file for the frames that the referee judged")
    parser.add_argument("--until-eof", action="store_true", help="stop when stdin ends (the parent process died)")
    parser.add_argument("--server-key", type=Path, help="private key of the servers with security or TLS")
    return parser


def _plant_config(args: argparse.Namespace) -> PlantConfig:
    """In real time the devices' clocks start at the current time; in lock step at the start of the horizon."""
    start = args.start or (None if args.lock_step else datetime.now(UTC))
    return replace(
        plant_config(load_config(args.config), args.config, start),
        pace=None if args.lock_step else args.pace,
        seed=args.seed,
        free_ports=args.free_ports,
        control_port=args.control_port,
        frames=args.frames,
        server_key=args.server_key,
    )


async def _run(config: PlantConfig, *, until_eof: bool) -> None:
    async with open_plant(config) as plant:
        loop = asyncio.get_running_loop()
        if until_eof:
            loop.add_reader(sys.stdin, _stop_at_eof, plant.stopping)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, plant.stopping.set)
        listening = {"control": plant.control_port, "devices": {d.name: address(d) for d in plant.devices}}
        sys.stdout.write(json.dumps(listening) + "\n")
        sys.stdout.flush()
        await plant.stopping.wait()
        loop.remove_reader(sys.stdin)


def _stop_at_eof(stopping: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        stopping.set()


if __name__ == "__main__":
    sys.exit(main())
