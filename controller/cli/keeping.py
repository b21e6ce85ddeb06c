"""Commands that keep a state folder: its backup, and its restoration."""

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.arguments import QuietOption, StateOption


def backup(
    out: Annotated[Path, typer.Argument(help="The backup, a new folder.", metavar="DIR", show_default=False)],
    state: StateOption = Path("state"),
    quiet: QuietOption = False,
) -> None:
    """Copy the state folder, also while the service runs: journal, commanded mode, tokens, audit trails."""
    from controller.process.clocks import WallClock
    from controller.record.backup import back_up

    made = back_up(state, out, WallClock().now())
    if not quiet:
        typer.echo(f"{len(made.files)} files of {state} in {out}; it holds tokens, so keep it as they are kept")


def restore(
    saved: Annotated[Path, typer.Argument(help="A backup.", metavar="DIR", show_default=False)],
    state: StateOption = Path("state"),
    quiet: QuietOption = False,
) -> None:
    """Make a state folder from a backup; the service then begins in MONITOR."""
    from controller.record.backup import restore as restore_state

    made = restore_state(saved, state)
    if not quiet:
        typer.echo(f"{len(made.files)} files of {made.made_at:%Y-%m-%d %H:%M} UTC in {state}; at most MONITOR")
