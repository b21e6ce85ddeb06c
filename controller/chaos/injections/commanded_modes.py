"""Commands to stop writing that something keeps from being carried out or recorded; then the service dies."""

import resource
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

from controller.chaos.faulted_run import OPERATOR
from controller.chaos.injection import InjectionResult, TrialContext
from controller.chaos.injections.devices import CONVERTERS, PlantFault
from controller.chaos.injections.records import FULL
from controller.judge.case import InjectedFault, Kind
from controller.process.modes import Mode
from controller.record.reading import JOURNAL

KILLED_AFTER_S = 3.0
"""Real time (s) from the command to SIGKILL, in which the release of an unreachable converter does not end."""
_MONITOR: Mapping[str, Any] = {"mode": Mode.MONITOR, "who": OPERATOR}
_STOP: Mapping[str, Any] = {"emergency_stop": OPERATOR}
_BLACK_HOLE = PlantFault("black_hole", Kind.LINK, CONVERTERS)


async def kill_in_stop(context: TrialContext) -> InjectionResult:
    """31: stop, MONITOR or the order to end while a converter is a black hole; SIGKILL 3 s later."""
    faulted, device = context.faulted, _BLACK_HOLE.device(context)
    lost_at = await context.run_to_injection()
    await faulted.switch(_BLACK_HOLE.fault, device, on=True)
    await context.run_for(5.0, 20.0)
    at, order = faulted.now, _order(context)
    await faulted.kill_during(order, KILLED_AFTER_S)
    await context.run_for(1.0, 20.0)
    complaints = await _restarted(context)
    await faulted.switch(_BLACK_HOLE.fault, device, on=False)
    lost = context.fault(_BLACK_HOLE.fault, Kind.LINK, lost_at, device)
    return await _activated(context, f"kill -9 in {_name(order)}", at, complaints, lost)


async def monitor_on_full_disk(context: TrialContext) -> InjectionResult:
    """32: MONITOR is commanded on a full disk, which is freed later; SIGKILL after 65 s in that mode."""
    faulted = context.faulted
    begins = await context.run_to_injection()
    with _full_disk(faulted.running_controller.pid):
        await faulted.request(_MONITOR)
        await context.run_for(1.0, 20.0)
    await faulted.run_until(faulted.now_s + 65.0)
    await faulted.kill()
    return await _activated(context, "monitor on a full disk", begins, await _restarted(context), kind=Kind.DISK)


async def stop_with_locked_journal(context: TrialContext) -> InjectionResult:
    """33: another process holds the journal locked during the command, and until SIGKILL 70 s later."""
    faulted, order = context.faulted, _order(context, lasting=True)
    begins = await context.run_to_injection()
    with closing(sqlite3.connect(faulted.folder / JOURNAL, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await faulted.request(order)
        await faulted.run_until(faulted.now_s + 70.0)
        await faulted.kill()
    return await _activated(context, f"{_name(order)}, journal locked", begins, await _restarted(context))


async def _restarted(context: TrialContext) -> tuple[str, ...]:
    """The next service must be in MONITOR at once and later; what is wrong."""
    faulted = context.faulted
    await faulted.restart()
    await context.run_for(65.0, 95.0)
    return () if faulted.state.mode == Mode.MONITOR else (f"{faulted.state.mode} after the restart",)


async def _activated(
    context: TrialContext,
    name: str,
    begins: datetime,
    complaints: tuple[str, ...],
    *also: InjectedFault,
    kind: Kind = Kind.STOP,
) -> InjectionResult:
    """An operator activates it, which ends the fault: until then the record may lack what the disk has refused."""
    stopped = context.fault(name, kind, begins)
    await context.faulted.activate()
    await context.run_recovery()
    return InjectionResult(stopped, complaints, also=also)


def _order(context: TrialContext, *, lasting: bool = False) -> Mapping[str, Any]:
    """Seeds use the orders in turn; ``lasting`` leaves out the one after which the service ends."""
    orders = [_STOP, _MONITOR] if lasting else [_STOP, _MONITOR, {"stop": context.faulted.now_s}]
    return orders[context.seed % len(orders)]


def _name(order: Mapping[str, Any]) -> str:
    return next(iter(order)).replace("_", " ")


@contextmanager
def _full_disk(pid: int) -> Iterator[None]:
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (FULL, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
