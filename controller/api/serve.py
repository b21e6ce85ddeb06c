"""``gridlab serve``: the service on the laboratory's computer, from its start to the release of the last converter."""

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace

from controller.api.app import Api
from controller.api.serving import ApiDoor
from controller.api.tokens import Tokens
from controller.live.state import LiveState
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

    It begins in MONITOR, or in ACTIVE if it was ACTIVE until an unexpected end a moment ago.

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
    live, config = LiveState(setup.config), setup.config
    api = Api(Tokens.of(setup.state), clock)
    async with (
        ApiDoor(api, live, live_port, setup.state).opened() as door,
        Service(replace(setup, live=live, boot=boot_id()), clock, clock) as service,
    ):
        door.report_to(service.notices, setup.files)
        schedule = Schedule(service, config.schedule, config.horizon.timezone, clock)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, schedule.stop.set)
        for line in service.damaged:
            _log.error("%s", line)
        await service.begin()
        async with api.operating(service):
            started(service.mode, door.port)
            notify(READY, status(service.mode))
            await schedule.run()
            notify(STOPPING)
            return await service.close()
