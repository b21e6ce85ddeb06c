"""The controller's process dies or hangs in the midst of a cycle, or is not let up again as it was."""

import signal
from dataclasses import replace
from pathlib import Path
from random import Random

from controller.chaos.script import WARM_S, Played, Take
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


async def killed(take: Take) -> Played:
    """1: kill −9 in the midst of a cycle, restarted after an outage of up to a minute."""
    fault = await _death(take, "kill -9", OUTAGE_S)
    await take.stage.restart()
    await take.aftermath()
    return Played(fault, slow_restarts(take))


async def hung(take: Take) -> Played:
    """2: the process stands still until the guardian has taken over; then the watchdog restarts it, or it goes on."""
    return await (_continued(take) if take.seed % 2 else _replaced(take))


async def torn(take: Take) -> Played:
    """24: a power loss takes part of the journal; what it lost is not made up, ACTIVE least of all."""
    stage, damage = take.stage, _DAMAGES[take.seed % len(_DAMAGES)]
    fault = await _death(take, f"journal {damage.__name__.strip('_')}", 20.0)
    damage(stage.folder, take.random)
    await stage.restart()
    await _given_back(take)
    return Played(replace(fault, forgets=True), slow_restarts(take))


async def refused(take: Take) -> Played:
    """25: a configuration that is no good ends the process before it touches a device; the one before serves on."""
    stage = take.stage
    fault = await _death(take, "bad configuration", 10.0)
    bad = stage.folder / "bad.yaml"
    bad.write_text(stage.job.path.read_text().replace("v_min_pu: 0.95", "v_min_pu: 1.95"))
    complaints: tuple[str, ...] = ("a bad configuration was taken",)
    try:
        await stage.restart(config=str(bad))
    except FollowerError as error:
        complaints = () if "v_min_pu" in str(error) else (f"refused without a reason: {error}",)
    await stage.restart()
    await take.aftermath()
    return Played(fault, (*complaints, *slow_restarts(take)))


async def _death(take: Take, name: str, outage_s: float) -> InjectedFault:
    """Kill −9 in the midst of a cycle, and the outage after it."""
    stage, cycle_s = take.stage, WARM_S + take.random.choice((0.0, 30.0))
    await stage.strike(cycle_s, signal.SIGKILL, take.random.uniform(0.0, MID_CYCLE_S))
    begins = stage.now
    await take.passing(0.0, outage_s)
    return take.fault(name, Kind.DEATH, begins)


async def _replaced(take: Take) -> Played:
    stage = take.stage
    await stage.strike(WARM_S, signal.SIGSTOP, take.random.uniform(0.0, MID_CYCLE_S))
    begins = stage.now
    await take.passing(SILENCE_S + 5.0, DEADLINE_S)
    complaints = () if stage.told.took_over else ("the guardian did not take over",)
    await stage.kill()
    fault = take.fault("SIGSTOP, watchdog", Kind.DEATH, begins)
    await stage.restart()
    await take.aftermath()
    return Played(fault, (*complaints, *slow_restarts(take)))


async def _continued(take: Take) -> Played:
    """It finds that it has been overtaken and yields; then the operator looks, and gives it back."""
    stage = take.stage
    begins = await take.warmed_up()
    stage.hang()
    await take.passing(SILENCE_S + 35.0, 110.0)
    complaints = () if stage.told.took_over else ("the guardian did not take over",)
    stage.wake()
    fault = take.fault("SIGSTOP, SIGCONT", Kind.DEATH, begins)
    await stage.until(stage.now_s + stage.job.period_s)
    if stage.told.mode != Mode.MONITOR:
        complaints = (*complaints, f"woke up and was {stage.told.mode}, allowed monitor")
    await stage.arm()
    await take.aftermath()
    return Played(fault, complaints)


async def _given_back(take: Take) -> None:
    """Where it did not go on by itself, the operator looks after its first cycle, and arms it."""
    stage = take.stage
    while stage.told.mode is None:
        await stage.until(stage.now_s + stage.poll_s)
    if stage.told.mode != Mode.ACTIVE:
        await stage.arm()
    await take.aftermath()


def slow_restarts(take: Take) -> tuple[str, ...]:
    """What took longer than it may."""
    return tuple(f"restart in {s:.1f} s, allowed {RESTART_S:g} s" for s in take.stage.restarts_s if s > RESTART_S)


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
