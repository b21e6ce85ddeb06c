"""The guardian of a service: it watches the heartbeat, and takes over when the service stops giving signs of life.

It shares with the service only the machine, the configuration file and a folder, so that a failure of one does not stop
the other. It can do one thing only: release converters to their own safe state.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from controller.guardian.answering import guardian_stops
from controller.guardian.release import GuardedConverter
from controller.guardian.signing import SignsOfLife
from controller.guardian.trail import GuardianRecords
from controller.guardian.watching import SILENCE_S, UNKNOWN_EPOCH, Action, WatchState, watch
from controller.process.failures import RecordError
from controller.process.heartbeat import Heartbeat, Takeover, boot_id, read_heartbeat
from controller.process.lock import GUARDIAN_LOCK, FolderLock, exclusive_lock
from core.config import Config
from core.devices import Outcome
from core.epochs import latest
from core.errors import Fault, InputError
from core.time import Clock
from drivers.factory import DriverSettings, connect
from realtime.timing import LEASE_S

_log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Time (s) between two checks of the heartbeat, and between two attempts at a device."""


@dataclass(frozen=True)
class GuardianSetup:
    """Settings of a guardian.

    Attributes:
        path: the file that ``config`` was read from.
        state: the state folder of the service.
        boot: boot id of heartbeats whose clock is comparable with ours; None in virtual time.
        patience_s: real time that a step waits for devices; slower ones are awaited in the next steps.
        silence_s: time without a heartbeat after which it takes over.
    """

    config: Config
    path: Path
    state: Path
    boot: str | None = None
    patience_s: float = LOOK_S
    silence_s: float = SILENCE_S


class Guardian:
    """Watches one service and releases its converters; it has no timer: the caller calls :meth:`step`.

    Attributes:
        guarded: the converters of the configuration, by name.
        outcomes: of the last attempts since it took over, by converter; empty before.
    """

    def __init__(self, setup: GuardianSetup, clock: Clock) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._setup, self._clock = setup, clock
        self._settings = DriverSettings(setup.path.parent, setup.config.grid.voltage_v, clock)
        self._converters = tuple(setup.config.converters.values())
        self._records = GuardianRecords(setup.state, clock)
        self._signs = SignsOfLife(setup.config, setup.state, setup.boot, clock)
        guarded = (GuardedConverter(one, self._settings, self._records, setup.state) for one in self._converters)
        self.guarded = {converter.name: converter for converter in guarded}
        self._watching = WatchState()
        self._overtaken: int | None = None
        self._pending: set[str] = set()
        self._until_s = 0.0
        self._running: dict[str, asyncio.Task[Outcome]] = {}
        self._stepping = asyncio.Lock()

    @property
    def is_writer(self) -> bool:
        """Whether it has taken over and no new writer is active yet."""
        return self._overtaken is not None

    async def check(self) -> None:
        """Check that all settings can be used; no device is contacted.

        Raises:
            InputError: there is no converter, or a register map, certificate or key cannot be used.
        """
        if not self._converters:
            raise InputError([Fault(str(self._setup.path), "devices", "no converter", "at least one converter")])
        async with connect(self._converters, self._settings, None):
            pass

    async def replace_writer(self, why: str) -> None:
        """Take over at once, whatever the heartbeat says, with a first attempt at each converter; the next steps go on
        with what is not known to be safe.
        """
        async with self._stepping:
            found, now_s = read_heartbeat(self._setup.state), self._clock.monotonic_s()
            heartbeat = found if isinstance(found, Heartbeat) else self._watching.heartbeat
            overtaken = heartbeat.epoch if heartbeat else UNKNOWN_EPOCH
            self._watching = WatchState(heartbeat, overtaken=overtaken)
            await self._become_writer(overtaken, now_s, why)
            await self._release(overtaken, now_s)

    async def step(self) -> Mapping[str, Outcome]:
        """Check the heartbeat once, act on it, and give a sign of life; returns the outcomes so far."""
        async with self._stepping:
            return await self._step()

    async def _step(self) -> Mapping[str, Outcome]:
        before, now_s = self._watching, self._clock.monotonic_s()
        found = read_heartbeat(self._setup.state)
        self._watching, action = watch(before, found, now_s, self._setup.boot, self._setup.silence_s)
        match action:
            case Action.TAKE_OVER:
                silent = f"no cycle for {self._setup.silence_s:g} s"
                why = silent if before.overtaken is None else "the writer that was overtaken is back"
                await self._become_writer(self._watching.overtaken or UNKNOWN_EPOCH, now_s, why)
            case Action.STEP_BACK:
                await self._step_back()
        if self._overtaken is not None and (self._pending or self._running):
            await self._release(self._overtaken, now_s)
        await self._signs.give()
        return dict(self.outcomes)

    async def close(self) -> None:
        """Cancel the releases in progress."""
        await self._cancel()
        self._records.close()

    async def _become_writer(self, overtaken: int, now_s: float, why: str) -> None:
        """Start releasing. Attempts in progress are cancelled: they do not tell what the old writer has done since."""
        _log.warning("%s: releasing %d converters", why, len(self.guarded))
        await self._cancel()
        self._overtaken, self._until_s = overtaken, now_s + LEASE_S
        self._pending = set(self.guarded)
        self.outcomes.clear()
        await self._records.note("takeover", f"epoch {overtaken}: {why}")

    async def _step_back(self) -> None:
        if self._overtaken is None:
            return
        overtaken, self._overtaken = self._overtaken, None
        self._pending.clear()
        self.outcomes.clear()
        await self._cancel()
        for converter in self.guarded.values():
            converter.released = None
        _log.info("a new writer has begun: stepping back")
        await self._records.note("stepped back", f"epoch {overtaken} has a successor")

    async def _release(self, overtaken: int, now_s: float) -> None:
        """Attempt a release of every converter that is not known to be safe and not busy with an earlier attempt."""
        for name in self._pending - self._running.keys():
            self._running[name] = asyncio.create_task(self.guarded[name].release(overtaken, "guardian"))
        await asyncio.wait(self._running.values(), timeout=self._setup.patience_s)
        if self._collect():
            epoch = latest(overtaken, (converter.epoch for converter in self.guarded.values()))
            released = {name: converter.released for name, converter in self.guarded.items() if converter.released}
            now, outcomes = self._clock.now(), dict(self.outcomes)
            await self._records.write_takeover(Takeover(overtaken, epoch, now, outcomes, released, self._setup.boot))
        if self._pending and now_s >= self._until_s:
            _log.error("not known to be safe, but their leases have expired: %s", ", ".join(sorted(self._pending)))
            self._pending.clear()

    def _collect(self) -> bool:
        """Collect the outcomes of finished attempts; whether any has changed."""
        before = dict(self.outcomes)
        for name in [name for name, task in self._running.items() if task.done()]:
            outcome = self._running.pop(name).result()
            if outcome is Outcome.VERIFIED:
                self._pending.discard(name)
            if outcome is not self.outcomes.get(name):
                _log.warning("%s: release %s, epoch %d", name, outcome, self.guarded[name].epoch)
            self.outcomes[name] = outcome
        return self.outcomes != before

    async def _cancel(self) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        self._running.clear()


async def run_guardian(
    setup: GuardianSetup, clock: Clock, stop: asyncio.Event, on_step: Callable[[], None] = lambda: None
) -> None:
    """Run in real time until ``stop`` is set.

    Args:
        on_step: called after every step, about once a second, e.g. to notify a watchdog.

    Raises:
        InputError: another guardian uses this state folder, or see :meth:`Guardian.check`.
    """
    with exclusive_lock(setup.state, GUARDIAN_LOCK, "guardian") as lock, ExitStack() as stack:
        guardian, missed = Guardian(setup, clock), ""
        await guardian.check()
        stack.enter_context(guardian_stops(setup.state, guardian, asyncio.get_running_loop()))
        _log.info("guarding the service of %s: %s", setup.state, ", ".join(guardian.guarded))
        try:
            while not stop.is_set():
                next_s = clock.monotonic_s() + LOOK_S
                try:
                    await guardian.step()
                except Exception:  # a failed step must not end the guardian; the next one tries again
                    _log.exception("step failed")
                missed = _renew(lock, missed)
                on_step()
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(next_s - clock.monotonic_s(), 0.0)):
                        await stop.wait()
        finally:
            await guardian.close()


def _renew(lock: FolderLock, before: str) -> str:
    """Lock again what was removed; logged once. What is wrong now, after ``before``."""
    try:
        wrong, missed = "", lock.renew()
    except RecordError as error:
        wrong = missed = str(error)
    if missed and missed != before:
        _log.error("%s", missed)
    return wrong


def realtime_setup(config: Config, path: Path, state: Path) -> GuardianSetup:
    """A setup in the real time of this machine."""
    return GuardianSetup(config, path, state, boot_id())
