"""The guardian of a service: looks at its heartbeat, and stands in for it when it falls silent.

It shares nothing with the service but the machine, the configuration file and a folder, so that what stops the one does
not stop the other. It can do one thing only: release converters to their own safe state.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from controller.guardian.release import GuardedConverter
from controller.guardian.trail import Trail
from controller.guardian.watching import SILENCE_S, UNKNOWN_EPOCH, Action, Watching, watch
from controller.process.heartbeat import Takeover, boot_id, read_heartbeat
from controller.process.lock import exclusive_lock
from core.config import Config
from core.devices import Outcome
from core.errors import Fault, InputError
from core.time import Clock
from drivers.factory import Site, connect
from realtime.timing import LEASE_S

_log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Between two looks at the heartbeat, and two attempts at a device."""
LOCK = "guardian.lock"


@dataclass(frozen=True)
class GuardianSetup:
    """What a guardian is made of.

    Attributes:
        path: where ``config`` was read from.
        state: the state folder of the service.
        boot: of heartbeats whose clock is comparable with ours; None in virtual time.
        patience_s: real time that a step waits for devices; one that takes longer is not forgotten.
    """

    config: Config
    path: Path
    state: Path
    boot: str | None = None
    patience_s: float = LOOK_S
    silence_s: float = SILENCE_S


class Guardian:
    """See the module. It owns no time: whoever drives it calls :meth:`step`.

    Attributes:
        guarded: the converters of the configuration, by name.
        outcomes: of the last attempts since it took over, by converter; empty while it does not stand in.
    """

    def __init__(self, setup: GuardianSetup, clock: Clock) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._setup, self._clock = setup, clock
        self._site = Site(setup.path.parent, setup.config.grid.voltage_v, clock)
        self._converters = tuple(setup.config.converters.values())
        self._trail = Trail(setup.state, clock)
        self.guarded = {
            device.name: GuardedConverter(device, self._site, self._trail, setup.state) for device in self._converters
        }
        self._watching = Watching()
        self._overtaken: int | None = None
        self._pending: set[str] = set()
        self._until_s = 0.0
        self._running: dict[str, asyncio.Task[Outcome]] = {}

    @property
    def stands_in(self) -> bool:
        """Whether it has taken over and no new writer has begun."""
        return self._overtaken is not None

    async def check(self) -> None:
        """Try what will be needed; no device is touched.

        Raises:
            InputError: no converter, or a register map, certificate or key that cannot be used.
        """
        if not self._converters:
            raise InputError([Fault(str(self._setup.path), "devices", "no converter", "at least one converter")])
        async with connect(self._converters, self._site, None):
            pass

    async def step(self) -> Mapping[str, Outcome]:
        """Look once, and do what follows from it; the outcomes so far."""
        before, now_s = self._watching, self._clock.monotonic_s()
        found = read_heartbeat(self._setup.state)
        self._watching, action = watch(before, found, now_s, self._setup.boot, self._setup.silence_s)
        match action:
            case Action.TAKE_OVER:
                await self._assume(self._watching.overtaken or UNKNOWN_EPOCH, now_s, again=before.overtaken is not None)
            case Action.STEP_BACK:
                await self._step_back()
        if self._overtaken is not None and (self._pending or self._running):
            await self._release(self._overtaken, now_s)
        return dict(self.outcomes)

    async def close(self) -> None:
        """Give up what is under way."""
        await self._cancel()
        self._trail.close()

    async def _assume(self, overtaken: int, now_s: float, *, again: bool) -> None:
        """An attempt that is under way says nothing of what the old writer has done since."""
        said = "the writer that was overtaken is back" if again else f"no cycle for {self._setup.silence_s:g} s"
        _log.warning("%s: releasing %d converters", said, len(self.guarded))
        await self._cancel()
        self._overtaken, self._until_s = overtaken, now_s + LEASE_S
        self._pending = set(self.guarded)
        self.outcomes.clear()
        await self._trail.note("takeover", f"epoch {overtaken}: {said}")

    async def _step_back(self) -> None:
        if self._overtaken is None:
            return
        overtaken, self._overtaken = self._overtaken, None
        self._pending.clear()
        self.outcomes.clear()
        await self._cancel()
        for ward in self.guarded.values():
            ward.released = None
        _log.info("a new writer has begun: stepping back")
        await self._trail.note("stepped back", f"epoch {overtaken} has a successor")

    async def _release(self, overtaken: int, now_s: float) -> None:
        """Attempts at all that are not known to be safe and not still busy with the last one."""
        for name in self._pending - self._running.keys():
            self._running[name] = asyncio.create_task(self.guarded[name].release(overtaken, "guardian"))
        await asyncio.wait(self._running.values(), timeout=self._setup.patience_s)
        if self._collect():
            epoch = max(ward.epoch for ward in self.guarded.values())
            released = {name: ward.released for name, ward in self.guarded.items() if ward.released}
            now, outcomes = self._clock.now(), dict(self.outcomes)
            await self._trail.tell(Takeover(overtaken, epoch, now, outcomes, released, self._setup.boot))
        if self._pending and now_s >= self._until_s:
            _log.error("not known to be safe, but their leases have ended: %s", ", ".join(sorted(self._pending)))
            self._pending.clear()

    def _collect(self) -> bool:
        """Take what has ended; whether anything is new."""
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
    setup: GuardianSetup, clock: Clock, stop: asyncio.Event, looked: Callable[[], None] = lambda: None
) -> None:
    """Guard in real time until ``stop`` is set.

    Args:
        looked: called after every step, about once a second: a watchdog of the system may watch the guardian by it.

    Raises:
        InputError: another guardian has this state folder, or see :meth:`Guardian.check`.
    """
    with exclusive_lock(setup.state, LOCK, "guardian"):
        guardian = Guardian(setup, clock)
        await guardian.check()
        _log.info("guarding the service of %s: %s", setup.state, ", ".join(guardian.guarded))
        try:
            while not stop.is_set():
                next_s = clock.monotonic_s() + LOOK_S
                try:
                    await guardian.step()
                except Exception:  # whatever became of one step, the next one looks again
                    _log.exception("step failed")
                looked()
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(next_s - clock.monotonic_s(), 0.0)):
                        await stop.wait()
        finally:
            await guardian.close()


def on_duty(config: Config, path: Path, state: Path) -> GuardianSetup:
    """A setup in the real time of this machine."""
    return GuardianSetup(config, path, state, boot_id())
