"""Implementation of ``gridlab stop``."""

import logging
from collections.abc import Mapping
from pathlib import Path

from controller.api.stopping import Stopping
from controller.cli.screens.terminal import console
from core.devices import Outcome
from core.errors import GridlabError


def stop(state: Path, config: Path | None, quiet: bool) -> None:
    """Stop, and print what became of each converter.

    Raises:
        InputError: no service runs, and no converter is known.
        GridlabError: a converter is not known to be safe.
    """
    logging.getLogger().addHandler(logging.NullHandler())  # what is to be said is printed below
    outcomes = Stopping(state, config, lambda: _by_http(state), (lambda _: None) if quiet else console.print).run()
    if not quiet:
        console.print("stopped: no setpoint is sent until an operator says ACTIVE")
        for name, outcome in outcomes.items():
            console.print(f"{name}: {'safe, read back' if outcome is Outcome.VERIFIED else f'[red]{outcome}'}")
    if unsafe := sorted(name for name, outcome in outcomes.items() if outcome is not Outcome.VERIFIED):
        raise GridlabError(f"not known to be safe, their leases end within 75 s: {', '.join(unsafe)}")


def _by_http(state: Path) -> Mapping[str, Outcome]:
    from controller.api.client import ask
    from controller.api.messages import Changed, Nothing

    return ask(state, Changed, "stop", Nothing()).released
