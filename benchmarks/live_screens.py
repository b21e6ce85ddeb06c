"""Screenshots of the live page: records of a finished run are published again, up to a time of its day.

``python -m benchmarks.live_screens RUN CONFIG OUT [HH:MM]`` writes OUT/live_{light,dark,phone}.webp with Chromium.
"""

import asyncio
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from controller.live.server import live_server
from controller.live.state import LiveState
from controller.record.records import (
    Alarm,
    CycleRecord,
    DeviceRecord,
    LimitsRecord,
    MpcRecord,
    ProsumerRecord,
    Severity,
)
from core.load import load_config
from tests.support.browser import browser
from tests.support.requirements import tool

SHOTS = {"light": (1366, 900, False, 1.0), "dark": (1366, 900, True, 1.0), "phone": (390, 1100, False, 1.5)}
T = TypeVar("T", DeviceRecord, LimitsRecord)
SERVICE = ("slack_p_kw", "slack_q_kvar", "violation_pu", "mode", "cycle_ms", "plan_age_s")
PLANNING = ("status", "wall_ms", "gap_rel", "violation_pu", "primal", "dual", "budget_ms")
COUNTS = ("missed", "backlog", "dropped", "dead_letters")
TEXT = ("rung", "reasons")
PAID = ("compensation_chf", "cost_chf")
MEASURED = tuple(field.name for field in fields(ProsumerRecord) if field.name not in {*TEXT, *PAID})


def records(run: Path, until: str = "24:00") -> Iterator[CycleRecord | MpcRecord]:
    """The records that the loop of a run gave its recorders, from the start of the day to the time of day ``until``."""
    cycles, mpc = (pd.read_csv(run / name) for name in ("realtime.csv", "mpc.csv"))
    nodes, lines = (pd.read_csv(run / name).groupby("time") for name in ("nodes.csv", "lines.csv"))
    runs = {row["time"]: row for row in _named(mpc)}
    with closing(sqlite3.connect(f"file:{run / 'telemetry.sqlite'}?mode=ro", uri=True)) as telemetry:
        telemetry.row_factory = sqlite3.Row
        for time, group in cycles.groupby("time"):
            if str(time)[11:16] >= until:
                return
            yield _cycle(group, nodes.get_group(time), lines.get_group(time), telemetry)
            if time in runs:
                yield _mpc(runs[time], telemetry)


def _rows(telemetry: sqlite3.Connection, table: str, at: pd.Timestamp) -> list[dict[str, Any]]:
    return [dict(row) for row in telemetry.execute(f"SELECT * FROM {table} WHERE time = ?", (at.value,))]


def _cycle(group: pd.DataFrame, nodes: pd.DataFrame, lines: pd.DataFrame, telemetry: sqlite3.Connection) -> CycleRecord:
    at = pd.Timestamp(group["time"].iloc[0])
    paid = {row["prosumer"]: {name: row[name] for name in PAID} for row in _rows(telemetry, "price", at)}
    (service,) = _rows(telemetry, "service", at)
    devices = {row["device"]: row for row in _rows(telemetry, "device", at)}
    (limits,) = _rows(telemetry, "limits", at)
    rated = {row["line"]: row["i_max_a"] for row in _rows(telemetry, "line", at)}
    return CycleRecord(
        time=at.to_pydatetime(),
        prosumers={row["prosumer"]: _prosumer(row, paid[row["prosumer"]]) for row in _named(group)},
        nodes={row["node"]: _none_if_missing(row["v_pu"]) for row in _named(nodes)},
        lines={row["line"]: _none_if_missing(row["i_a"]) for row in _named(lines)},
        devices={name: _from_row(DeviceRecord, row) for name, row in devices.items()},
        limits=_from_row(LimitsRecord, {**limits, "i_max_a": rated}),
        alarms=tuple(_alarm(row, at) for row in _rows(telemetry, "alarm", at) if row["standing"]),
        **{name: service[name] for name in SERVICE} | {name: int(service[name]) for name in COUNTS},
    )


def _named(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _from_row(kind: type[T], row: dict[str, Any]) -> T:
    return kind(**{field.name: row[field.name] for field in fields(kind)})


def _alarm(row: dict[str, Any], at: pd.Timestamp) -> Alarm:
    place, kind = row["alarm"].rsplit(" ", 1)
    return Alarm(kind, Severity(row["severity"]), place, row["text"], at.to_pydatetime())


def _prosumer(row: dict[str, Any], paid: dict[str, float | None]) -> ProsumerRecord:
    reasons = tuple(row["reasons"].split()) if isinstance(row["reasons"], str) else ()
    measured = {name: _none_if_missing(row[name]) for name in MEASURED}
    return ProsumerRecord(**measured, **paid, rung=row["rung"], reasons=reasons)


def _mpc(row: dict[str, Any], telemetry: sqlite3.Connection) -> MpcRecord:
    at = pd.Timestamp(row["time"])
    (kept,) = _rows(telemetry, "mpc", at)
    return MpcRecord(
        time=at.to_pydatetime(),
        adopted=row["adopted"],
        iterations=int(kept["iterations"]),
        **{
            name: kept[name] for name in ("status", "wall_ms", "gap_rel", "violation_pu", "primal", "dual", "budget_ms")
        },
    )


def _none_if_missing(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


async def shoot(run: Path, config: Path, out: Path, until: str) -> None:
    """Write one screenshot per entry of ``SHOTS`` into ``out``."""
    state = LiveState(load_config(config))
    for record in records(run, until):
        state.publish(record) if isinstance(record, CycleRecord) else state.publish_mpc(record)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        async with live_server(state) as port, browser(tool("chromium", "chromium"), Path(profile)) as page:
            for name, (width, height, dark, scale) in SHOTS.items():
                await page.open(f"http://127.0.0.1:{port}/", width, height, dark=dark, scale=scale)
                await page.until("document.querySelectorAll('[data-prosumer]').length > 0")
                await page.picture(out / f"live_{name}.webp", whole=width > 700)
            print(*page.faults, sep="\n", end="")


if __name__ == "__main__":
    run, config, out, *at = sys.argv[1:]
    asyncio.run(shoot(Path(run), Path(config), Path(out), *(at or ["13:00"])))
