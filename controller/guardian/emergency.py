"""The releases of an emergency stop: every converter over connections of its own, until it is read back as safe.

| step | what happens |
|---|---|
| trip | all permits to send setpoints are void (:mod:`controller.stop.order`), before anything here begins |
| command | MONITOR is made durable, and the stop recorded; the disk gets a second for it |
| yield | the service gets a second to release over its own connections, which some devices serve alone |
| release | whatever is not read back as safe by then; again and again, until no lease can be left |
| confirm | everything once more, if the service's writer was not gone when that began |
| note | what became of it, as soon as the disk permits |
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from controller.guardian.release import GuardedConverter
from controller.guardian.requested import command_monitor
from controller.guardian.site import ReleaseSite
from controller.guardian.trail import GuardianRecords
from controller.guardian.watching import UNKNOWN_EPOCH
from controller.process.heartbeat import Heartbeat, Takeover, read_heartbeat
from controller.stop.order import StopOrder
from core.devices import Outcome
from core.epochs import latest
from core.time import Clock
from drivers.factory import DriverSettings
from realtime.timing import LEASE_S

_log = logging.getLogger(__name__)

SITE_S, YIELD_S = 0.3, 1.0
"""Time (s) that the disk gets to name the converters, and the service to release by itself."""
AGAIN_S, LOOK_S = 0.5, 0.02
"""Time (s) between two attempts at a converter, and between two looks at what the service does."""
NOTE_EVERY_S = 3.0
EVENT, RESULT = "emergency stop", "emergency stop ended"


@dataclass(frozen=True)
class StopPlace:
    """Where a stop is executed.

    Attributes:
        state: the state folder.
        trail: name of the audit trail there.
        boot: as in :class:`controller.process.heartbeat.Heartbeat`; None in virtual time.
    """

    state: Path
    trail: str
    clock: Clock
    boot: str | None


class EmergencyReleases:
    """Executes the orders of one process, in one event loop; several at a time share their attempts.

    Args:
        site: finds the converters at each order; a disk that hangs leaves those of before. None: none was ever
            commanded.
        serving: whether the process has a service that obeys orders by itself.
    """

    def __init__(self, place: StopPlace, site: Callable[[], ReleaseSite | None], serving: Callable[[], bool]) -> None:
        self._place, self._site, self._serving = place, site, serving
        self._records = GuardianRecords(place.state, place.clock, place.trail)
        self._orders: list[StopOrder] = []
        self._converters: dict[str, GuardedConverter] = {}
        self._attempts: dict[str, asyncio.Task[None]] = {}
        self._use(site())

    async def execute(self, order: StopOrder) -> None:
        """Release everything; returns when all is safe, or no lease can be left."""
        with suppress(TimeoutError):
            self._use(await asyncio.wait_for(asyncio.to_thread(self._site), SITE_S))
        order.report(dict.fromkeys(self._converters, Outcome.UNKNOWN))
        try:
            async with asyncio.timeout(LEASE_S):
                await asyncio.gather(self._command(order), self._service_released(order))
                unconfirmed = self._serving() and not order.writer_gone
                await self._release(order)
                if unconfirmed:
                    order.ended = True  # nobody need wait for a service that hangs
                    await self._confirm(order)
        except TimeoutError:
            _log.error("%s: not known to be safe: %s", EVENT, ", ".join(sorted(order.unsafe)) or "none")
        order.ended = True
        await self._note(order)

    async def close(self) -> None:
        """Cancel what is being attempted."""
        for task in self._attempts.values():
            task.cancel()
        await asyncio.gather(*self._attempts.values(), return_exceptions=True)
        self._records.close()

    def _use(self, site: ReleaseSite | None) -> None:
        place = self._place
        if site is None or site.converters == tuple(one.device for one in self._converters.values()):
            return
        settings = DriverSettings(site.folder, site.voltage_v, place.clock)
        guarded = (GuardedConverter(device, settings, self._records, place.state) for device in site.converters)
        self._converters = {one.name: one for one in guarded}

    async def _command(self, order: StopOrder) -> None:
        """Make MONITOR durable, and record the stop; a disk that fails or hangs does not hold it up."""
        noted = self._records.note(EVENT, f"asked by {order.who}")
        await asyncio.gather(command_monitor(self._place.state, f"{EVENT}: {order.who}"), noted)

    async def _service_released(self, order: StopOrder) -> None:
        """Wait a moment for the service's own releases."""
        with suppress(TimeoutError):
            async with asyncio.timeout(YIELD_S):
                await self._writer_gone(order)

    async def _writer_gone(self, order: StopOrder) -> None:
        while self._serving() and not order.writer_gone:
            await asyncio.sleep(LOOK_S)

    async def _confirm(self, order: StopOrder) -> None:
        """Once the writer is gone, release everything again: it may have sent something in between."""
        await self._writer_gone(order)
        again = StopOrder(order.number, order.who)
        again.report(dict.fromkeys(self._converters, Outcome.UNKNOWN))
        await self._release(again)

    async def _release(self, order: StopOrder) -> None:
        """Attempt releases until each converter was read back as safe since now."""
        self._orders.append(order)
        try:
            async with asyncio.TaskGroup() as group:
                for name in order.unsafe & self._converters.keys():
                    group.create_task(self._until_safe(order, name))
        finally:
            self._orders.remove(order)

    async def _until_safe(self, order: StopOrder, name: str) -> None:
        """Attempts at one converter; one that is in progress does not count, as it began before the order."""
        while name in order.unsafe:
            if name not in self._attempts:
                self._attempts[name] = task = asyncio.create_task(self._attempt(name, order.who))
                task.add_done_callback(lambda _: self._attempts.pop(name, None))
            await asyncio.wait([self._attempts[name]])
            if name in order.unsafe:
                await asyncio.sleep(AGAIN_S)

    async def _attempt(self, name: str, who: str) -> None:
        orders, overtaken, converter = tuple(self._orders), _last_epoch(self._place.state), self._converters[name]
        outcome = await converter.release(overtaken, f"{EVENT}: {who}", anyone=True)
        _log.warning("%s: %s %s, epoch %d", name, EVENT, outcome, converter.epoch)
        for order in orders:
            order.report({name: outcome})
        await self._tell_next_service(overtaken, {name: outcome})

    async def _tell_next_service(self, overtaken: int, outcomes: Mapping[str, Outcome]) -> None:
        epoch = latest(overtaken, (converter.epoch for converter in self._converters.values()))
        released = {name: one.released for name, one in self._converters.items() if one.released}
        now, boot = self._place.clock.now(), self._place.boot
        await self._records.write_takeover(Takeover(overtaken, epoch, now, outcomes, released, boot))

    async def _note(self, order: StopOrder) -> None:
        """Record what became of it; until the disk permits, for as long as a lease lives."""
        outcomes = ", ".join(f"{name} {outcome}" for name, outcome in order.outcomes.items()) or "nothing to release"
        with suppress(TimeoutError):
            async with asyncio.timeout(LEASE_S):
                while not await self._records.note(RESULT, f"asked by {order.who}: {outcomes}"):
                    await asyncio.sleep(NOTE_EVERY_S)


def _last_epoch(state: Path) -> int:
    heartbeat = read_heartbeat(state)
    return heartbeat.epoch if isinstance(heartbeat, Heartbeat) else UNKNOWN_EPOCH
