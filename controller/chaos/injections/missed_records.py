"""Records that others remove, replace or alter while the controller runs, and a wall clock that jumps by 100 days."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from shutil import copy

from controller.chaos.injection import InjectionResult, TrialContext
from controller.judge.case import Kind
from controller.judge.histories import AUDIT, TELEMETRY
from controller.process.lock import SERVICE_LOCK
from controller.process.modes import Mode
from controller.process.talk import FollowerError
from controller.record.audit_check import check_run
from controller.record.reading import JOURNAL

JUMP, JUMP_LASTS_S = timedelta(days=100), 20.0
SEEN_S = 8.0
"""Real time (s) in which the forwarder's thread looks at the telemetry once."""
LOG_SUFFIXES = ("", "-wal", "-shm")


async def remove_audit(context: TrialContext) -> InjectionResult:
    """48: the audit trail is removed, renamed or replaced; in the end every line is there."""
    touch = (_removed, _renamed, _replaced)[context.seed % 3]
    begins = await context.run_to_injection()
    touch(context.faulted.folder / AUDIT)
    fault = context.fault(f"audit trail {_past(touch)}", Kind.OTHER, begins)
    await context.run_recovery()
    return InjectionResult(fault, _trail_faults(context), alarm=f"{AUDIT} record")


async def remove_journal(context: TrialContext) -> InjectionResult:
    """49: the journal is removed, renamed or replaced; a cycle later the controller dies, and all is resumed."""
    faulted, touch = context.faulted, (_removed, _renamed, _replaced)[context.seed % 3]
    begins = await context.run_to_injection()
    for suffix in LOG_SUFFIXES:
        touch(faulted.folder / f"{JOURNAL}{suffix}")
    await faulted.run_until(faulted.now_s + faulted.job.period_s)
    await faulted.kill()
    await context.run_for(1.0, 10.0)
    fault = context.fault(f"journal {_past(touch)}, kill -9", Kind.DEATH, begins)
    await faulted.restart()
    await context.run_recovery()
    complaints = () if faulted.state.mode == Mode.ACTIVE else (f"{faulted.state.mode} after the restart",)
    return InjectionResult(fault, complaints, alarm=f"{JOURNAL} record")


async def start_second(context: TrialContext) -> InjectionResult:
    """50: the lock is removed or replaced, and a second service starts on the same folder."""
    faulted, touch = context.faulted, (_removed, _renamed, _replaced)[context.seed % 3]
    begins = await context.run_to_injection()
    touch(faulted.folder / SERVICE_LOCK)
    complaints: tuple[str, ...] = ("a second service has started",)
    try:
        await faulted.restart()
    except FollowerError as error:
        complaints = () if "no running service uses" in str(error) else (f"refused without a reason: {error}",)
    fault = context.fault(f"second service, lock {_past(touch)}", Kind.OTHER, begins)
    await context.run_recovery()
    return InjectionResult(fault, complaints, alarm=f"{SERVICE_LOCK} record")


async def jump_100_days(context: TrialContext) -> InjectionResult:
    """51: the wall clock is wrong by 100 days for 20 s; nothing is deleted, neither then nor afterwards."""
    faulted, jump = context.faulted, JUMP * (-1 if context.seed % 2 else 1)
    begins = await context.run_to_injection()
    before = _stored(faulted.folder)
    await faulted.request({"jump": jump.total_seconds()})
    await asyncio.sleep(SEEN_S)
    await faulted.run_until(faulted.now_s + JUMP_LASTS_S)
    await faulted.request({"jump": -jump.total_seconds()})
    fault = context.fault(f"clock {jump.days:+d} days", Kind.CLOCK, begins)
    await asyncio.sleep(SEEN_S)
    await context.run_recovery()
    left = _stored(faulted.folder)
    complaints = (f"{before} points of the service before, {left} after",) if left < before else ()
    return InjectionResult(replace(fault, shift_s=jump.total_seconds()), complaints)


async def alter_trail(context: TrialContext) -> InjectionResult:
    """52: in copies of the trail a line is changed, removed, torn, or the end cut off; the check names it."""
    begins = await context.run_to_injection()
    await context.run_recovery()
    complaints = [
        f"{alter.__name__.strip('_')}: {found}" for alter in _ALTERATIONS if (found := _wrong(context, alter))
    ]
    return InjectionResult(context.fault("altered copies of the trail", Kind.OTHER, begins), tuple(complaints))


def _wrong(context: TrialContext, alter: Callable[[list[bytes], int], None]) -> str:
    """What the check says of an altered copy, if it does not name the line; empty if it does."""
    folder = context.faulted.folder / alter.__name__.strip("_")
    folder.mkdir()
    for name in (AUDIT, JOURNAL, f"{JOURNAL}-wal"):
        if (context.faulted.folder / name).exists():
            copy(context.faulted.folder / name, folder)
    lines = (folder / AUDIT).read_bytes().splitlines(keepends=True)
    line = context.random.randrange(1, len(lines) // 2)
    alter(lines, line)
    (folder / AUDIT).write_bytes(b"".join(lines))
    check = check_run(folder, folder)[0]
    named = check.text.startswith((f"line {line} ", f"lines {line} to "))
    return "" if check.whole is False and named else check.text


def _changed(lines: list[bytes], line: int) -> None:
    lines[line - 1] = lines[line - 1].replace(b'"schema_version": 1', b'"schema_version": 2')


def _missing(lines: list[bytes], line: int) -> None:
    del lines[line - 1]


def _torn(lines: list[bytes], line: int) -> None:
    lines[line - 1] = lines[line - 1][:40] + b"\0" * 40 + b"\n"


def _cut_off(lines: list[bytes], line: int) -> None:
    del lines[line - 1 :]


_ALTERATIONS = (_changed, _missing, _torn, _cut_off)


def _removed(path: Path) -> None:
    path.unlink(missing_ok=True)


def _renamed(path: Path) -> None:
    if path.exists():
        path.rename(path.with_name(f"{path.name}.1"))


def _replaced(path: Path) -> None:
    if path.exists():
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(Random(0).randbytes(len(content)))


def _past(touch: Callable[[Path], None]) -> str:
    return touch.__name__.strip("_")


def _trail_faults(context: TrialContext) -> tuple[str, ...]:
    """What the check finds wrong in the trails of the run so far."""
    folder = context.faulted.folder
    return tuple(f"{check.name}: {check.text}" for check in check_run(folder, folder) if not check.whole)


def _stored(folder: Path) -> int:
    """Number of points of the service in telemetry."""
    with closing(sqlite3.connect(f"{(folder / TELEMETRY).resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM service").fetchone()[0])
