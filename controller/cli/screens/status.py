"""Terminal output about a running service."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from json import dumps
from typing import Any
from zoneinfo import ZoneInfo

from rich.markup import escape
from rich.table import Table

from controller.accounts.model_check import ModelCheck
from controller.api.messages import Armed, Devices, Status
from controller.cli.screens.terminal import console
from core.devices import Outcome


def print_status(status: Status) -> None:
    """Print mode, plan, last cycle, alarms and the model check; times are those of the plans' zone."""
    zone = ZoneInfo(status.timezone)
    console.print(f"mode {status.mode}, plan {status.plan_id or 'none'}, {status.missed} cycles missed")
    living, absent = status.guardian.living, escape(status.guardian.absent)
    console.print("guardian: living" if living else f"[yellow]guardian: none, so no ACTIVE[/]: {absent}")
    if cycle := status.cycle:
        outside = "–" if cycle.violation_pu is None else f"{cycle.violation_pu:.4f}"
        age = "–" if cycle.plan_age_s is None else f"{cycle.plan_age_s / 60:.0f}"
        console.print(
            f"last cycle {cycle.time.astimezone(zone):%H:%M:%S %Z}, {cycle.cycle_ms:.0f} ms, plan {age} min old"
        )
        console.print(f"voltages beyond their limits by {outside} p.u. at most")
        for alarm in cycle.alarms:
            colour = "red" if alarm.severity == "alarm" else "yellow"
            since = f"{alarm.since.astimezone(zone):%H:%M:%S}"
            console.print(f"[{colour}]{alarm.kind} {alarm.place}[/]: {escape(alarm.text)}, since {since}")
    _print_check(status.check)


def print_json(status: Status, devices: Devices) -> None:
    """Print status and devices as one JSON object; every time has its offset from UTC, that of the plans' zone."""
    zone = ZoneInfo(status.timezone)
    print(dumps({"status": _local(asdict(status), zone), **_local(asdict(devices), zone)}, default=str))  # noqa: T201


def _local(value: Any, zone: ZoneInfo) -> Any:
    """The same data, times as ISO 8601 in ``zone``."""
    match value:
        case datetime():
            return value.astimezone(zone).isoformat()
        case dict():
            return {key: _local(item, zone) for key, item in value.items()}
        case list() | tuple():
            return [_local(item, zone) for item in value]
    return value


def print_devices(devices: Devices) -> None:
    """Print one line per device, and the overrides."""
    table = Table("device", "quality", "age s", "answers in ms", "state", "last write", "lease s", box=None)
    for name, device in devices.devices.items():
        numbers = [device.age_s, device.latency_ms, device.lease_s]
        age, latency, lease = ("–" if number is None else f"{number:.0f}" for number in numbers)
        table.add_row(name, device.quality, age, latency, device.state or "–", device.outcome or "–", lease)
    if devices.devices:
        console.print(table)
    if devices.overrides:
        print_overrides(devices)


def print_overrides(devices: Devices) -> None:
    """Print the active overrides."""
    for name, override in devices.overrides.items():
        console.print(f"{name}: override {override.p_kw:g} kW, {override.q_kvar:g} kvar, {override.left_s:.0f} s left")
    if not devices.overrides:
        console.print("no overrides")


def print_armed(armed: Armed) -> None:
    """Print warnings before ACTIVE is confirmed."""
    _print_check(armed.check)
    for warning in armed.warnings:
        console.print(f"[yellow]{escape(warning)}")


def print_released(outcomes: Mapping[str, Outcome]) -> None:
    """Print the outcome of each converter's release."""
    for name, outcome in outcomes.items():
        console.print(f"{name}: {'safe, read back' if outcome is Outcome.VERIFIED else f'[red]{outcome}'}")


def _print_check(check: ModelCheck | None) -> None:
    if check:
        console.print(f"grid model: mean {check.mean_pu:.4f}, worst {check.worst_pu:.4f} p.u. at {check.worst_node}")
