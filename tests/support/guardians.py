"""Living guardians: of a service whose virtual time a test keeps, and as a process beside `gridlab serve`."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from controller.guardian.guardian import Guardian, GuardianSetup
from controller.process.lock import GUARDIAN_LOCK, exclusive_lock
from controller.service.setup import Setup
from core.time import Clock
from tests.support.laboratory import wait_for
from tests.support.paths import ROOT

START_S, STOP_S = 60.0, 20.0
STANDING_S = 1e9
"""Age of a sign of life in tests that let the guardian look once, and then advance the time as they like."""


@asynccontextmanager
async def living_guardian(setup: Setup, clock: Clock) -> AsyncIterator[Guardian]:
    """It holds its lock and has looked once; the test may let it look again."""
    with exclusive_lock(setup.state, GUARDIAN_LOCK, "guardian"):
        guardian = Guardian(GuardianSetup(setup.config, setup.path, setup.state, setup.boot), clock)
        await guardian.step()
        try:
            yield guardian
        finally:
            await guardian.close()


@contextmanager
def guardian_process(config: Path, state: Path) -> Iterator[None]:
    """`gridlab guardian` in real time, once it says that it guards."""
    command = [sys.executable, "-m", "controller.guardian", str(config), "--state", str(state)]
    log = state.with_name(f"{state.name}-guardian.log")
    with log.open("w") as errors, subprocess.Popen(command, stderr=errors, cwd=ROOT) as process:
        try:
            wait_for(lambda: "guarding the service" in log.read_text(), START_S)
            yield
        finally:
            process.terminate()
            process.wait(STOP_S)
