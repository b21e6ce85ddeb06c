"""Implementation of ``gridlab status|mode|override``: send requests to the service, and print its answers."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from controller.api.client import ask
from controller.api.messages import Activate, Armed, Changed, Devices, Lower, Nothing, OverrideOrder, Status
from controller.cli.screens import status as screen
from controller.process.modes import Mode
from core.devices import Outcome
from core.errors import Fault, InputError


@dataclass(frozen=True)
class OverrideTarget:
    """Net demand (positive: drawn) for a duration."""

    p_kw: float
    q_kvar: float
    minutes: float


def status(state: Path, as_json: bool, quiet: bool) -> None:
    """Print mode, plan, last cycle, alarms, devices and overrides, as text or as one JSON object."""
    service, devices = ask(state, Status, "status"), ask(state, Devices, "devices")
    if as_json:
        screen.print_json(service, devices)
    elif not quiet:
        screen.print_status(service)
        screen.print_devices(devices)


def mode(state: Path, wanted: Mode | None, yes: bool, quiet: bool) -> None:
    """Print the mode, or change it; ACTIVE has to be confirmed.

    Raises:
        InputError: there is no terminal to confirm it on.
    """
    now = ask(state, Status, "status")
    released: Mapping[str, Outcome] = {}
    if wanted is Mode.ACTIVE and now.mode is not Mode.ACTIVE:
        _activate(state, yes, quiet)
    elif wanted is not None and wanted is not Mode.ACTIVE:
        released = ask(state, Changed, "mode", Lower(mode=_lower(wanted))).released
    if not quiet:
        screen.print_status(ask(state, Status, "status"))
        screen.print_released(released)


def override_target(p_kw: float | None, q_kvar: float, minutes: float, end: bool) -> OverrideTarget | None:
    """The target by the options of ``gridlab override``; None ends an override.

    Raises:
        InputError: neither a power nor the end, or both.
    """
    if end == (p_kw is not None):
        raise InputError([Fault("override", "", "both" if end else "neither", "--p KW or --end")])
    return None if p_kw is None else OverrideTarget(p_kw, q_kvar, minutes)


def override(state: Path, device: str, wanted: OverrideTarget | None, quiet: bool) -> None:
    """Set a converter's override; None ends it."""
    p_kw, q_kvar, for_s = (wanted.p_kw, wanted.q_kvar, 60.0 * wanted.minutes) if wanted else (0.0, 0.0, 0.0)
    try:
        order = OverrideOrder(device=device, p_kw=p_kw, q_kvar=q_kvar, for_s=for_s)
    except ValueError as error:
        asked = f"{device!r}, {p_kw:g} kW, {q_kvar:g} kvar, {for_s / 60:g} min"
        raise InputError([Fault("override", "", asked, "a converter, finite powers, 0 … 60 min")]) from error
    devices = ask(state, Devices, "override", order)
    if not quiet:
        screen.print_overrides(devices)


def _activate(state: Path, yes: bool, quiet: bool) -> None:
    armed = ask(state, Armed, "mode/arm", Nothing())
    if not quiet:
        screen.print_armed(armed)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError([Fault("mode active", "", "no terminal to confirm it on", "--yes")])
        typer.confirm("ACTIVE: the service will write to the converters. Go on?", abort=True)
    ask(state, Changed, "mode", Activate(mode="active", nonce=armed.nonce))


def _lower(mode: Mode) -> Literal["off", "monitor"]:
    return "off" if mode is Mode.OFF else "monitor"
