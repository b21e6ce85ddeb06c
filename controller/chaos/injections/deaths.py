"""The controller's process dies or is suspended during a cycle, or restarts with damaged files."""

import signal
from dataclasses import replace
from pathlib import Path
from random import Random

from controller.chaos.injection import WARM_S, InjectionResult, TrialContext
from controller.guardian.watching import SILENCE_S
from controller.judge.case import RESTART_S, InjectedFault, Kind
from controller.process.modes import Mode
from controller.process.talk import FollowerError

MID_CYCLE_S = 0.03
"""Real time (s) in which a cycle reads, decides and begins to write."""
OUTAGE_S = 60.0
DEADLINE_S = 90.0
"""Deadline (s) of the watchdog of the service manager."""
JOURNAL, LOG = "journal.sqlite", "journal.sqlite-wal"


async def kill(context: TrialContext) -> InjectionResult:
    """1: SIGKILL during a cycle; restarted after an outage of up to a minute."""
    fault = await _kill_in_cycle(context, "kill -9", OUTAGE_S)
    await context.faulted.restart()
    await context.run_recovery()
    return InjectionResult(fault, slow_restarts(context))


async def suspend(context: TrialContext) -> InjectionResult:
    """2: the process is suspended until the guardian has taken over; then the watchdog replaces it, or it resumes."""
    return await (_resume_after_takeover(context) if context.seed % 2 else _replace_by_watchdog(context))


async def damage_journal(context: TrialContext) -> InjectionResult:
    """24: a power loss damages the journal; lost state must not be invented, least of all ACTIVE."""
    faulted, damage = context.faulted, _DAMAGES[context.seed % len(_DAMAGES)]
    fault = await _kill_in_cycle(context, f"journal {damage.__name__.strip('_')}", 20.0)
    damage(faulted.folder, context.random)
    await faulted.restart()
    await _recover_active(context)
    return InjectionResult(replace(fault, loses_journal=True), slow_restarts(context))


async def bad_configuration(context: TrialContext) -> InjectionResult:
    """25: an invalid configuration ends the process before it contacts a device; the previous one works again."""
    faulted = context.faulted
    fault = await _kill_in_cycle(context, "bad configuration", 10.0)
    bad = faulted.folder / "bad.yaml"
    bad.write_text(faulted.job.path.read_text().replace("v_min_pu: 0.95", "v_min_pu: 1.95"))
    complaints: tuple[str, ...] = ("a bad configuration was accepted",)
    try:
        await faulted.restart(config=str(bad))
    except FollowerError as error:
        complaints = () if "v_min_pu" in str(error) else (f"refused without a reason: {error}",)
    await faulted.restart()
    await context.run_recovery()
    return InjectionResult(fault, (*complaints, *slow_restarts(context)))


async def _kill_in_cycle(context: TrialContext, name: str, outage_s: float) -> InjectedFault:
    """SIGKILL during a cycle, and the outage after it."""
    faulted, cycle_s = context.faulted, WARM_S + context.random.choice((0.0, 30.0))
    await faulted.signal_in_cycle(cycle_s, signal.SIGKILL, context.random.uniform(0.0, MID_CYCLE_S))
    begins = faulted.now
    await context.run_for(0.0, outage_s)
    return context.fault(name, Kind.DEATH, begins)


async def _replace_by_watchdog(context: TrialContext) -> InjectionResult:
    faulted = context.faulted
    await faulted.signal_in_cycle(WARM_S, signal.SIGSTOP, context.random.uniform(0.0, MID_CYCLE_S))
    begins = faulted.now
    await context.run_for(SILENCE_S + 5.0, DEADLINE_S)
    complaints = () if faulted.state.took_over else ("the guardian did not take over",)
    await faulted.kill()
    fault = context.fault("SIGSTOP, watchdog", Kind.DEATH, begins)
    await faulted.restart()
    await context.run_recovery()
    return InjectionResult(fault, (*complaints, *slow_restarts(context)))


async def _resume_after_takeover(context: TrialContext) -> InjectionResult:
    """Check that the service notices the takeover and yields; then the operator activates it again."""
    faulted = context.faulted
    begins = await context.run_to_injection()
    faulted.suspend()
    await context.run_for(SILENCE_S + 35.0, 110.0)
    complaints = () if faulted.state.took_over else ("the guardian did not take over",)
    faulted.resume()
    fault = context.fault("SIGSTOP, SIGCONT", Kind.DEATH, begins)
    await faulted.run_until(faulted.now_s + faulted.job.period_s)
    if faulted.state.mode != Mode.MONITOR:
        complaints = (*complaints, f"{faulted.state.mode} after it resumed, allowed monitor")
    await faulted.activate()
    await context.run_recovery()
    return InjectionResult(fault, complaints)


async def _recover_active(context: TrialContext) -> None:
    """If it did not become ACTIVE by itself, the operator activates it after its first cycle."""
    faulted = context.faulted
    while faulted.state.mode is None:
        await faulted.run_until(faulted.now_s + faulted.poll_s)
    if faulted.state.mode != Mode.ACTIVE:
        await faulted.activate()
    await context.run_recovery()


def slow_restarts(context: TrialContext) -> tuple[str, ...]:
    """Restarts that took longer than allowed."""
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
