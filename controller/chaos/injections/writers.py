"""Other writers: one that takes the last epoch, one that is a service as we are; and writes that come to nothing."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from controller.chaos.faulted_run import OPERATOR, FaultedRun
from controller.chaos.injection import Injection, InjectionResult, TrialContext
from controller.chaos.injections.devices import CONVERTERS, PlantFault
from controller.judge.case import Kind
from controller.judge.histories import TELEMETRY, TWIN
from controller.judge.writers import WRITE_ALARM
from controller.process.modes import Mode
from controller.process.talk import Follower, running_module
from controller.simulation.master import CONTROLLER, GUARDIAN, controller_opening, guardian_opening
from core.devices import Outcome
from core.epochs import LAST
from realtime.doubt import DoubtKind

ONE_FRAME_S = 3.0
"""Duration of a foreign writer that writes once."""
YIELDS_S = 60.0
"""Time within which a service gives way."""
REJECTS_S = 80.0
GUARDED_S = 3600.0
"""Age of the sign of life of a guardian that looks only once."""
JOURNAL = "journal.sqlite"
_FAR_AHEAD = 1 + LAST // 2
"""The latest epoch after that of the first writer, the furthest that a converter lets an intruder go in one step."""


def epochs_used_up(kinds: tuple[type, ...]) -> Injection:
    """36, 37: one frame with the latest epoch that the converter accepts, which compares on the ring or plain numbers.

    The service gives way; an operator's ACTIVE, and then the emergency stop, must be obeyed all the same.
    """

    async def inject(context: TrialContext) -> InjectionResult:
        faulted, plain = context.faulted, bool(context.seed % 2)
        device = PlantFault("foreign_write", Kind.WRITER, kinds).device(context)
        if plain:
            await faulted.switch("plain_epochs", device, on=True)
        begins, epoch = await context.run_to_injection(), LAST if plain else _FAR_AHEAD
        await faulted.switch("foreign_write", device, on=True, number=float(epoch))
        await faulted.run_until(faulted.now_s + ONE_FRAME_S)
        await faulted.switch("foreign_write", device, on=False)
        await faulted.run_until(faulted.now_s + YIELDS_S)
        complaints = [] if faulted.state.mode == Mode.MONITOR else [f"{faulted.state.mode}, allowed monitor"]
        fault = context.fault(f"epoch {epoch}{', plain' if plain else ''}", Kind.WRITER, begins, device)
        await faulted.activate()
        await context.run_recovery()
        if faulted.state.mode != Mode.ACTIVE:
            complaints.append(f"{faulted.state.mode} after an operator's ACTIVE")
        outcomes = (await faulted.request({"emergency_stop": OPERATOR}))["outcomes"]
        complaints += [f"{name} not released: {o}" for name, o in outcomes.items() if o != Outcome.VERIFIED]
        await faulted.run_until(faulted.now_s + YIELDS_S / 2)
        return InjectionResult(fault, tuple(complaints), "service yielded")

    return inject


async def writes_rejected(context: TrialContext) -> InjectionResult:
    """38: a converter acknowledges its setpoints and ignores them, cycle after cycle, while its readings are right."""
    faulted, injected = context.faulted, PlantFault("ignore_writes", Kind.DEVICE, CONVERTERS)
    device, begins = injected.device(context), await context.run_to_injection()
    await faulted.switch(injected.fault, device, on=True)
    await faulted.run_until(faulted.now_s + REJECTS_S)
    await faulted.switch(injected.fault, device, on=False)
    fault = context.fault("writes rejected", Kind.DEVICE, begins, device)
    await context.run_recovery()
    return InjectionResult(fault, alarm=f"{device} {WRITE_ALARM}")


async def two_services(context: TrialContext) -> InjectionResult:
    """39: a second service, on a copy of the state folder, is activated at the same moment and takes the same epoch;
    with odd seeds it comes half a minute later and takes the next one.
    """
    faulted, folder = context.faulted, context.faulted.folder / TWIN
    begins, later = await context.run_to_injection(), bool(context.seed % 2)
    await faulted.request({"mode": Mode.MONITOR, "who": OPERATOR})
    _copy_journal(faulted.folder / JOURNAL, folder)
    async with _opened_twin(faulted, folder) as twin:
        await faulted.activate()
        if later:
            await faulted.run_until(faulted.now_s + faulted.job.period_s)
        await twin.ask({"poll": faulted.now_s})
        await twin.ask({"mode": Mode.ACTIVE, "who": OPERATOR})
        modes = await _run_both(context, twin)
        complaints = [] if Mode.ACTIVE not in modes[: 1 if later else 2] else [f"{modes}, allowed monitor"]
        await twin.ask({"stop": faulted.now_s})
    if not later and not _alarms(folder, DoubtKind.TWIN):
        complaints.append("no alarm of the second service")
    fault = context.fault("second service, later" if later else "second service", Kind.WRITER, begins)
    await faulted.activate()
    await context.run_recovery()
    return InjectionResult(fault, tuple(complaints), f"{next(iter(context.site.converters))} {DoubtKind.OVERTAKEN}")


@asynccontextmanager
async def _opened_twin(faulted: FaultedRun, folder: Path) -> AsyncIterator[Follower]:
    """A service with its guardian, which looks once, in a state folder of their own."""
    job, addresses, now = faulted.job, faulted.addresses, {"at_s": faulted.now_s}
    options = {**faulted.options, "guardian_s": GUARDED_S, **now}
    async with (
        running_module(GUARDIAN, (), faulted.folder / "twin-guardian.log") as guardian,
        running_module(CONTROLLER, (), faulted.folder / "twin.log") as twin,
    ):
        await guardian.ask({"open": {**guardian_opening(job, folder, addresses), **now}})
        await guardian.ask({"tick": faulted.now_s})
        await twin.ask({"open": {**controller_opening(job, folder, addresses), **options}})
        yield twin


async def _run_both(context: TrialContext, twin: Follower) -> tuple[str, str]:
    """Run both services for five cycles, so that a fight that goes on is seen; returns their modes after three."""
    faulted, modes = context.faulted, list[tuple[str, str]]()
    period_s = faulted.job.period_s
    first_s = period_s * (faulted.now_s // period_s + 1)
    for cycle in range(6):
        await faulted.run_until(first_s + period_s * cycle)
        theirs = (await twin.ask({"cycle": faulted.now_s, "plan": False, "wait": False}))["mode"]
        modes.append((str(faulted.state.mode), theirs))
    return modes[3]


def _alarms(folder: Path, kind: str) -> bool:
    """Whether the telemetry of a service has an alarm of this kind."""
    with closing(sqlite3.connect(folder / TELEMETRY)) as file:
        return any(name.endswith(f" {kind}") for (name,) in file.execute("SELECT alarm FROM alarm"))


def _copy_journal(journal: Path, folder: Path) -> None:
    """As from a backup: the plans, and the epoch."""
    folder.mkdir()
    with closing(sqlite3.connect(journal)) as ours, closing(sqlite3.connect(folder / JOURNAL)) as theirs:
        ours.backup(theirs)
