"""Commands of an operator: clients of the API of a running service."""

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.arguments import QuietOption, StateOption
from controller.process.modes import Mode


def status(
    state: StateOption = Path("state"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for other programs.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Show the state of a running service and of its devices."""
    from controller.cli import requests

    requests.status(state, as_json, quiet)


def mode(
    wanted: Annotated[Mode | None, typer.Argument(help="off, monitor or active; omit it to show the mode.")] = None,
    state: StateOption = Path("state"),
    yes: Annotated[bool, typer.Option("--yes", help="Confirm ACTIVE without being asked.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Set what a running service may do: OFF, MONITOR (read and decide) or ACTIVE (write as well)."""
    from controller.cli import requests

    requests.mode(state, wanted, yes, quiet)


def override(
    device: Annotated[str, typer.Argument(help="A converter.", metavar="DEVICE", show_default=False)],
    p_kw: Annotated[float | None, typer.Option("--p", help="Net demand to aim at, kW.", show_default=False)] = None,
    q_kvar: Annotated[float, typer.Option("--q", help="Reactive power to aim at, kvar.")] = 0.0,
    minutes: Annotated[float, typer.Option("--for", help="Duration in minutes, at most 60.")] = 15.0,
    end: Annotated[bool, typer.Option("--end", help="End the override.")] = False,
    state: StateOption = Path("state"),
    quiet: QuietOption = False,
) -> None:
    """Let a converter aim at a power of your choice instead of its plan's, within all limits, for a limited time."""
    from controller.cli import requests

    requests.override(state, device, requests.override_target(p_kw, q_kvar, minutes, end), quiet)


def stop(
    state: StateOption = Path("state"),
    config: Annotated[
        Path | None, typer.Option(help="Names the converters if the state folder does not.", show_default=False)
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Emergency stop: release every converter at once, whether a service runs or not; the next mode is MONITOR."""
    from controller.cli import stopping

    stopping.stop(state, config, quiet)
