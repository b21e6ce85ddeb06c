"""Stop sockets of the service and of the guardian. What releases converters is loaded after that of the service
listens.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from controller.guardian.requested import RequestedTakeover, TakeoverTarget
from controller.stop.channel import StopExecutor, stop_channel
from controller.stop.order import StopSwitch
from controller.stop.wire import GUARDIAN_SOCKET, SERVICE_SOCKET
from core.time import Clock


@contextmanager
def service_stops(state: Path, switch: StopSwitch, virtual: Clock | None = None) -> Iterator[None]:
    """Execute the stops of the service of a state folder until the block ends: also while the service has not read its
    configuration yet, and while its event loop stands.

    Args:
        virtual: clock of a simulated run.

    Raises:
        OSError: the socket cannot be made.
    """

    def load() -> StopExecutor:
        from controller.guardian.emergency import EmergencyReleases, StopPlace
        from controller.guardian.site import ReleaseSite
        from controller.guardian.trail import STOP_TRAIL
        from controller.process.clocks import WallClock
        from controller.process.heartbeat import boot_id

        boot = None if virtual else boot_id()
        place = StopPlace(state, STOP_TRAIL, virtual or WallClock(), boot)
        return EmergencyReleases(place, partial(ReleaseSite.read, state), lambda: switch.serving)

    with stop_channel(state, SERVICE_SOCKET, switch, load) as channel:
        channel.wait_loaded()
        yield


@contextmanager
def guardian_stops(state: Path, guardian: TakeoverTarget, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let the guardian of a state folder, which runs in ``loop``, take over at every stop until the block ends.

    Raises:
        OSError: the socket cannot be made.
    """
    executor = RequestedTakeover(state, guardian, loop)
    with stop_channel(state, GUARDIAN_SOCKET, StopSwitch(), lambda: executor):
        yield
