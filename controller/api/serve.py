"""``gridlab serve``: the service on the laboratory's computer, from its start to the release of the last converter."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from uuid import uuid4

from controller.api.app import Api
from controller.api.serving import ApiDoor
from controller.api.tokens import Tokens
from controller.live.state import LiveState
from controller.process.age import clock_synchronised
from controller.process.descriptors import raise_limit
from controller.process.heartbeat import boot_id
from controller.process.modes import Mode
from controller.process.systemd import READY, STOPPING, notify, status
from controller.service.schedule import Schedule
from controller.service.service import Service
from controller.service.setup import Setup
from core.devices import Outcome
from core.time import Clock

_log = logging.getLogger(__name__)


async def serve(
    setup: Setup, clock: Clock, live_port: int, started: Callable[[Mode, int | None], None]
) -> Mapping[str, Outcome]:
    """Run until SIGTERM, SIGINT or SIGHUP; the caller holds the lock of the state folder.

    It begins in the commanded mode or a lower one (:mod:`controller.service.first_mode`). A signal while it starts ends
    the start: what may still follow the predecessor is released, and the next service begins in MONITOR at most.

    Args:
        live_port: of the live page and the API on this machine; 0 selects a free one. If another program uses it, the
            service runs all the same.
        started: called with the mode and the port of the live page when everything runs; None: there is no page yet.

    Returns:
        Outcomes of the releases at the end, by converter.

    Raises:
        InputError: there is no plan for today.
    """
    raise_limit()
    setup.folder.mkdir(parents=True, exist_ok=True)
    try:
        return await _serve(setup, clock, live_port, started)
    except TimeoutError:
        if not setup.signals.seen:
            raise
        _log.warning("stopped while it started")
        return {}


async def _serve(
    setup: Setup, clock: Clock, live_port: int, started: Callable[[Mode, int | None], None]
) -> Mapping[str, Outcome]:
    live, config = LiveState(setup.config), setup.config
    api, signals = Api(Tokens.of(setup.state), clock), setup.signals
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(None) as starting:
            signals.tell(lambda: starting.reschedule(0.0))
            door = await stack.enter_async_context(ApiDoor(api, live, live_port, setup.state).opened())
            own = replace(setup, live=live, boot=boot_id() or str(uuid4()), synchronised=clock_synchronised)
            service = await stack.enter_async_context(Service(own, clock, clock))
            door.report_to(service.notices, setup.files)
            for line in service.damaged:
                _log.error("%s", line)
            await service.begin()
        schedule = Schedule(service, config.schedule, config.horizon.timezone, clock)
        signals.tell(schedule.stop.set)
        async with api.operating(service):
            started(service.mode, door.port)
            notify(READY, status(service.mode))
            await schedule.run()
            notify(STOPPING)
            return await service.close()
