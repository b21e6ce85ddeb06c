"""The controller's process dies or hangs in the midst of a cycle, or is not let up again as it was."""

import signal
from dataclasses import replace
from pathlib import Path
from random import Random

from controller.chaos.script import WARM_S, Injected, TrialContext
from controller.guardian.watching import SILENCE_S
from controller.judge.case import RESTART_S, InjectedFault, Kind
from controller.process.modes import Mode
from controller.process.talk import FollowerError

MID_CYCLE_S = 0.03
"""Real time in which a cycle reads, decides and begins to write."""
OUTAGE_S = 60.0
DEADLINE_S = 90.0
"""Of the system's watchdog."""
JOURNAL, LOG = "journal.sqlite", "journal.sqlite-wal"


async def killed(context: TrialContext) -> Injected:
    """1: kill −9 in the midst of a cycle, restarted after an outage of up to a minute."""
    fault = await _death(context, "kill -9", OUTAGE_S)
    await context.faulted.restart()
    await context.aftermath()
    return Injected(fault, slow_restarts(context))


async def hung(context: TrialContext) -> Injected:
    """2: the process stands still until the guardian has taken over; then the watchdog restarts it, or it goes on."""
    return await (_continued(context) if context.seed % 2 else _replaced(context))


async def torn(context: TrialContext) -> Injected:
    """24: a power loss takes part of the journal; what it lost is not made up, ACTIVE least of all."""
    faulted, damage = context.faulted, _DAMAGES[context.seed % len(_DAMAGES)]
    fault = await _death(context, f"journal {damage.__name__.strip('_')}", 20.0)
    damage(faulted.folder, context.random)
    await faulted.restart()
    await _given_back(context)
    return Injected(replace(fault, forgets=True), slow_restarts(context))


async def refused(context: TrialContext) -> Injected:
    """25: a configuration that is no good ends the process before it touches a device; the one before serves on."""
    faulted = context.faulted
    fault = await _death(context, "bad configuration", 10.0)
    bad = faulted.folder / "bad.yaml"
    bad.write_text(faulted.job.path.read_text().replace("v_min_pu: 0.95", "v_min_pu: 1.95"))
    complaints: tuple[str, ...] = ("a bad configuration was taken",)
    try:
        await faulted.restart(config=str(bad))
    except FollowerError as error:
        complaints = () if "v_min_pu" in str(error) else (f"refused without a reason: {error}",)
    await faulted.restart()
    await context.aftermath()
    return Injected(fault, (*complaints, *slow_restarts(context)))


async def _death(context: TrialContext, name: str, outage_s: float) -> InjectedFault:
    """Kill −9 in the midst of a cycle, and the outage after it."""
    faulted, cycle_s = context.faulted, WARM_S + context.random.choice((0.0, 30.0))
    await faulted.strike(cycle_s, signal.SIGKILL, context.random.uniform(0.0, MID_CYCLE_S))
    begins = faulted.now
    await context.passing(0.0, outage_s)
    return context.fault(name, Kind.DEATH, begins)


async def _replaced(context: TrialContext) -> Injected:
    faulted = context.faulted
    await faulted.strike(WARM_S, signal.SIGSTOP, context.random.uniform(0.0, MID_CYCLE_S))
    begins = faulted.now
    await context.passing(SILENCE_S + 5.0, DEADLINE_S)
    complaints = () if faulted.led.took_over else ("the guardian did not context over",)
    await faulted.kill()
    fault = context.fault("SIGSTOP, watchdog", Kind.DEATH, begins)
    await faulted.restart()
    await context.aftermath()
    return Injected(fault, (*complaints, *slow_restarts(context)))


async def _continued(context: TrialContext) -> Injected:
    """It finds that it has been overtaken and yields; then the operator looks, and gives it back."""
    faulted = context.faulted
    begins = await context.warmed_up()
    faulted.hang()
    await context.passing(SILENCE_S + 35.0, 110.0)
    complaints = () if faulted.led.took_over else ("the guardian did not context over",)
    faulted.wake()
    fault = context.fault("SIGSTOP, SIGCONT", Kind.DEATH, begins)
    await faulted.until(faulted.now_s + faulted.job.period_s)
    if faulted.led.mode != Mode.MONITOR:
        complaints = (*complaints, f"woke up and was {faulted.led.mode}, allowed monitor")
    await faulted.arm()
    await context.aftermath()
    return Injected(fault, complaints)


async def _given_back(context: TrialContext) -> None:
    """Where it did not go on by itself, the operator looks after its first cycle, and arms it."""
    faulted = context.faulted
    while faulted.led.mode is None:
        await faulted.until(faulted.now_s + faulted.poll_s)
    if faulted.led.mode != Mode.ACTIVE:
        await faulted.arm()
    await context.aftermath()


def slow_restarts(context: TrialContext) -> tuple[str, ...]:
    """What took longer than it may."""
    return tuple(f"restart in {s:.1f} s, allowed {RESTART_S:g} s" for s in context.faulted.restarts_s if s > RESTART_S)


def _log_cut(folder: Path, random: Random) -> None:
    log = folder / LOG
    if log.exists():
        log.write_bytes(log.read_bytes()[: random.randrange(log.stat().st_size or 1)])


def _bytes_flipped(folder: Path, random: Random) -> None:
    for name in (JOURNAL, LOG):
        if (path := folder / name).exists() and (data := bytearray(path.read_bytes())):
            for _ in range(64):
                data[random.randrange(len(data))] ^= 1 << random.randrange(8)
            path.write_bytes(data)


def _cut_in_half(folder: Path, _: Random) -> None:
    for name in (JOURNAL, LOG):
        if (path := folder / name).exists():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _overwritten(folder: Path, random: Random) -> None:
    (folder / JOURNAL).write_bytes(random.randbytes((folder / JOURNAL).stat().st_size))


def _gone(folder: Path, _: Random) -> None:
    for name in (JOURNAL, LOG, f"{JOURNAL}-shm"):
        (folder / name).unlink(missing_ok=True)


_DAMAGES = (_log_cut, _bytes_flipped, _cut_in_half, _overwritten, _gone)
