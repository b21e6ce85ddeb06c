"""A stop without any other process: for a state folder whose service and guardian do not answer."""

import asyncio
import os
import pwd
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from controller.guardian.emergency import LOOK_S, EmergencyReleases, StopPlace
from controller.guardian.site import ReleaseSite
from controller.guardian.trail import DIRECT_TRAIL
from controller.process.failures import RecordError
from controller.process.lock import SERVICE_LOCK, FolderLock
from controller.stop.order import StopOrder
from core.time import Clock

DIRECT_LOCK = "stop_direct.lock"
"""Held during the releases, so that one process writes the audit trail."""


def release_directly(state: Path, site: ReleaseSite, clock: Clock, boot: str | None, order: StopOrder) -> None:
    """Release every converter and read it back; repeated for as long as a lease may live, or the caller waits.

    The service's lock keeps a service from beginning in between. What holds a lock does not hold up the release, nor
    does a record that cannot be written.
    """
    with _locked(state, SERVICE_LOCK), _locked(state, DIRECT_LOCK):
        asyncio.run(_release(StopPlace(state, DIRECT_TRAIL, clock, boot), site, order))


async def _release(place: StopPlace, site: ReleaseSite, order: StopOrder) -> None:
    releases = EmergencyReleases(place, lambda: site, lambda: False)
    executing = asyncio.create_task(releases.execute(order))
    while not executing.done() and not order.abandoned:
        await asyncio.wait([executing], timeout=LOOK_S)
    executing.cancel()
    await asyncio.gather(executing, return_exceptions=True)
    await releases.close()


def become_owner(folder: Path) -> None:
    """As root, go on as the user that owns a folder: what is written there must belong to its service.

    Raises:
        OSError: there is no such folder.
    """
    owner = folder.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    os.setgroups([])
    os.setgid(owner.st_gid)
    with suppress(KeyError):  # a user of another container has no name here
        user = pwd.getpwuid(owner.st_uid)
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
    os.setuid(owner.st_uid)


@contextmanager
def _locked(state: Path, lock: str) -> Iterator[None]:
    with ExitStack() as stack:
        with suppress(RecordError):  # held by a process that does not answer, or not ours to hold
            stack.enter_context(FolderLock(state, lock))
        yield
