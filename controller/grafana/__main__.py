"""``python -m controller.grafana [CONFIG] [--out DIR]``: write dashboards and alert rules for the prosumers of
CONFIG.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from controller.live.site import PageSite
from core.errors import InputError
from core.load import load_config

FAILED, BAD_INPUT = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files. Exit code 0: written, 1: they cannot be written, 2: bad input."""
    args = _parser().parse_args(arguments)
    try:
        from controller.grafana.files import write
    except ImportError as error:
        sys.stderr.write(f"controller.grafana: no {error.name}; allowed: with the extra gridlab[grafana] installed\n")
        return BAD_INPUT
    try:
        write(PageSite.of(load_config(args.config)), args.out)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    except OSError as error:
        sys.stderr.write(f"--out: got {args.out}; allowed: a folder that can be written ({error.strerror})\n")
        return FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="controller.grafana", description="Write Grafana's dashboards and alert rules for a configuration."
    )
    parser.add_argument("config", type=Path, nargs="?", default=Path("configs/gridlab9.yaml"))
    parser.add_argument(
        "--out", type=Path, default=Path("configs/grafana"), help="folder of Grafana's provisioning files"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
