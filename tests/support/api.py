"""A real service on a real plant behind the real server, in a thread of its own, for tests by HTTP."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from fcntl import LOCK_EX, LOCK_NB, flock
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from controller.api.app import Api
from controller.api.follow import at_addresses
from controller.api.rates import Rate, Rates
from controller.api.serving import api_server
from controller.api.tokens import Role, Tokens, token_of
from controller.guardian.answering import service_stops
from controller.live.state import LiveState
from controller.process.clocks import SteppedClock, WallClock
from controller.process.lock import SERVICE_LOCK
from controller.process.modes import Mode
from controller.record.audit_lines import AuditNote, read_audit
from controller.service.service import Service
from controller.service.setup import Setup
from core.load import load_config
from sim_plant.plant import Plant, open_plant
from sim_plant.reports import address
from sim_plant.settings import plant_config
from tests.support.guardians import STANDING_S, living_guardian
from tests.support.paths import CONFIG

T = TypeVar("T")
NOON = datetime(2018, 6, 21, 12, 0, tzinfo=ZoneInfo("Europe/Zurich"))
START_S = 120.0
UNLIMITED = Rates(*[Rate(1e9, 10**9)] * 4)


@dataclass(frozen=True)
class Answer:
    """Status, headers, and the body as JSON."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class ServiceUnderTest:
    """A running service; everything but HTTP goes through :meth:`do`, which runs in the thread of its event loop."""

    folder: Path
    port: int
    service: Service
    api: Api
    clock: SteppedClock
    plant: Plant
    loop: asyncio.AbstractEventLoop

    def do(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the event loop of the service."""
        done: Future[T] = asyncio.run_coroutine_threadsafe(work(), self.loop)
        return done.result(60)

    def do_later(self, work: Callable[[], Coroutine[Any, Any, T]]) -> "Future[T]":
        """Start a coroutine in the event loop of the service."""
        return asyncio.run_coroutine_threadsafe(work(), self.loop)

    def set_mode(self, mode: Mode) -> None:
        """Set the mode directly, without HTTP."""
        self.do(lambda: self.service.set_mode(mode))

    def cycle(self, count: int = 1) -> None:
        """Run ``count`` cycles, 30 s of virtual time apart."""

        async def cycles() -> None:
            for _ in range(count):
                t_s = self.clock.monotonic_s() + 30.0
                self.clock.advance_to(t_s)
                await self.plant.advance(t_s)
                await self.service.cycle()

        self.do(cycles)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Keep a cycle in progress while the block lasts."""

        async def begin() -> None:
            await self.service._lock.acquire()

        async def end() -> None:
            self.service._lock.release()

        self.do(begin)
        try:
            yield
        finally:
            self.do(end)

    @property
    def waiting(self) -> int:
        """Number of orders that wait for the end of a cycle."""
        return len(self.service._lock._waiters or ())  # type: ignore[attr-defined]

    def wait(self, seconds: float) -> None:
        """Advance the service's virtual time."""

        async def advance() -> None:
            self.clock.advance_to(self.clock.monotonic_s() + seconds)

        self.do(advance)

    @property
    def armed(self) -> str | None:
        """The valid nonce, None without one."""
        given = self.api._operations._arming._nonce if self.api._operations else None
        return given.text if given else None

    @property
    def frames(self) -> int:
        """Number of frames that converters have received so far."""
        return self.plant.laboratory.recorder.tally.frames.total()

    def notes(self, event: str) -> list[str]:
        """Details of the audit trail's notes of this event."""
        records = read_audit(self.folder / "audit.jsonl")
        return [record.detail for record in records if isinstance(record, AuditNote) and record.event == event]

    def ask(
        self, method: str, path: str, body: object = None, role: Role | None = Role.OPERATOR, **headers: str
    ) -> Answer:
        """One request; a body that is not text is sent as JSON."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if role:
            given.setdefault("Authorization", f"Bearer {token_of(self.folder, role)}")
        if body is not None and not isinstance(body, str | bytes):
            body = json.dumps(body)
        if body is not None:
            given.setdefault("Content-Type", "application/json")
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            text = answer.read()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(text or b"null"))
        finally:
            connection.close()


@contextmanager
def running(folder: Path, rates: Rates = UNLIMITED) -> Iterator[ServiceUnderTest]:
    """A service in OFF at noon, with an uncoordinated plan, which is quick to compute."""
    ready: Future[tuple[ServiceUnderTest, asyncio.Event]] = Future()
    thread = Thread(target=lambda: asyncio.run(_serve(folder, rates, ready)))
    thread.start()
    try:
        here, stop = ready.result(START_S)
        try:
            yield here
        finally:
            here.loop.call_soon_threadsafe(stop.set)
    finally:
        thread.join(START_S)


async def _serve(folder: Path, rates: Rates, ready: Future[tuple[ServiceUnderTest, asyncio.Event]]) -> None:
    try:
        config, stop = load_config(CONFIG), asyncio.Event()
        async with open_plant(replace(plant_config(config, CONFIG, NOON), free_ports=True)) as plant:
            here = at_addresses(config, {device.name: address(device) for device in plant.devices})
            clock, live = SteppedClock(NOON), LiveState(here)
            setup = Setup(here, CONFIG, folder, folder, patience_s=6.0, coordinate=False, live=live)
            setup = replace(setup, guardian_s=STANDING_S)
            api = Api(Tokens.of(folder), clock, rates)
            with (folder / SERVICE_LOCK).open("w") as lock, service_stops(folder, setup.stops, clock):
                flock(lock, LOCK_EX | LOCK_NB)
                async with (
                    api_server(api, live, 0, folder) as port,
                    living_guardian(setup, clock),
                    Service(setup, clock, WallClock()) as service,
                    api.operating(service),
                ):
                    ready.set_result(
                        (
                            ServiceUnderTest(folder, port, service, api, clock, plant, asyncio.get_running_loop()),
                            stop,
                        )
                    )
                    await stop.wait()
    except BaseException as error:
        if ready.done():
            raise
        ready.set_exception(error)
