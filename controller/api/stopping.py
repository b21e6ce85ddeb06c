"""``gridlab stop``: whoever lives is asked, and if nobody does it in time, this process does it.

| when | who |
|---|---|
| at once | the service of the state folder, by its stop socket; by HTTP if the socket belongs to another user |
| it is dead, or has not answered after 1.5 s, or not everything is safe after 5 s | the guardian, by its own |
| both are dead, or nobody has answered after 3 s, or not everything is safe after 6.5 s | this process, directly |

Nobody is called off: a service that was suspended finds the request when it continues, and stops as well. A converter
is safe if one of them has read it back as safe.
"""

import os
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Thread

from controller.process.lock import SERVICE_LOCK, is_held
from controller.stop.asking import SLICE_S, NobodyListensError, ask_to_stop
from controller.stop.order import StopOrder
from controller.stop.wire import GUARDIAN_SOCKET, SERVICE_SOCKET, SITE, StopProgress
from core.devices import Outcome
from core.errors import Fault, GridlabError, InputError

LISTENS_S, ANSWERS_S, SAFE_S = 1.5, 3.0, 5.0
"""Time (s) from the start: for the service to answer; for anybody to answer; for everything to be safe by that."""
DIRECT_SAFE_S, END_S = 6.5, 10.0
"""When the rest is released directly, and when the stop gives up waiting."""
RECORDED_S = 2.0
"""Time (s) after a direct release for its last records."""
SERVICE, GUARDIAN, DIRECT = "the service", "the guardian", "gridlab stop itself"

Say = Callable[[str], None]
Answers = Generator[StopProgress | None, None, None]


@dataclass
class _Party:
    """Somebody who was asked; ``progress`` is None until it has answered, ``there`` False once it cannot answer."""

    answers: Answers
    progress: StopProgress | None = None
    there: bool = True
    error: str = ""

    def look(self) -> None:
        """Wait a moment for its next answer."""
        try:
            self.progress = next(self.answers) or self.progress
        except (StopIteration, NobodyListensError, ValueError):
            self.there = False
        except InputError:
            raise
        except (GridlabError, OSError) as error:
            self.there, self.error = False, str(error)

    @property
    def lost(self) -> bool:
        """Whether it has gone without having answered, or before it had ended."""
        return not self.there and not (self.progress and self.progress.ended)


class Stopping:
    """One stop of the service of ``state``.

    Args:
        config: of the converters; None: those that the state folder names.
        by_http: asks the service if its socket belongs to another user; returns the outcomes.
    """

    def __init__(
        self, state: Path, config: Path | None, by_http: Callable[[], Mapping[str, Outcome]], say: Say
    ) -> None:
        self._state, self._config, self._by_http, self._say = state, config, by_http, say
        self._asked: dict[str, _Party] = {}
        self._begun_s = time.monotonic()

    def run(self) -> Mapping[str, Outcome]:
        """Stop; the outcomes by converter.

        Raises:
            InputError: no service runs, and no converter was ever commanded from this folder.
            GridlabError: nobody could be asked to release anything.
        """
        self._check()
        self._ask(SERVICE, self._service())
        while not self._ended and self._elapsed_s < END_S:
            for party in self._asked.values():
                if party.there:
                    party.look()
            if self._guardian_is_due:
                _load_direct_release()
                self._ask(GUARDIAN, ask_to_stop(self._state, GUARDIAN_SOCKET))
            elif self._direct_is_due:
                self._ask(DIRECT, self._directly())
            elif not any(party.there for party in self._asked.values()):
                time.sleep(SLICE_S)
        for party in self._asked.values():
            party.answers.close()
        if not any(party.progress for party in self._asked.values()):
            errors = "; ".join(filter(None, (party.error for party in self._asked.values()))) or "nobody answers"
            raise GridlabError(f"{errors}; use the switches of the devices")
        return self._outcomes

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._begun_s

    @property
    def _outcomes(self) -> Mapping[str, Outcome]:
        """By converter; safe if anybody has read it back as safe."""
        merged = StopOrder(0, "")
        for party in self._asked.values():
            merged.report(party.progress.outcomes if party.progress else {})
        return merged.outcomes

    @property
    def _ended(self) -> bool:
        """Whether somebody has done all that is to be done."""
        safe = set(self._outcomes.values()) <= {Outcome.VERIFIED}
        known = self._outcomes or self._config is None or DIRECT in self._asked
        return bool(known) and safe and any(p.progress and p.progress.ended for p in self._asked.values())

    @property
    def _guardian_is_due(self) -> bool:
        service = self._asked[SERVICE]
        silent = service.lost or (service.progress is None and self._elapsed_s > LISTENS_S)
        return GUARDIAN not in self._asked and (silent or self._elapsed_s > SAFE_S)

    @property
    def _direct_is_due(self) -> bool:
        if DIRECT in self._asked or GUARDIAN not in self._asked:
            return False
        nobody = all(party.lost or not party.there for party in self._asked.values())
        silent = not any(party.progress for party in self._asked.values()) and self._elapsed_s > ANSWERS_S
        return nobody or silent or self._elapsed_s > DIRECT_SAFE_S

    def _check(self) -> None:
        if self._config is None and not is_held(self._state, SERVICE_LOCK) and not (self._state / SITE).exists():
            allowed = "the state folder of a running `gridlab serve`, or of one that was ACTIVE; or --config"
            raise InputError([Fault("--state", "", str(self._state), allowed)])

    def _ask(self, who: str, answers: Answers) -> None:
        self._asked[who] = party = _Party(answers)
        party.look()
        if who is not SERVICE:
            self._say(f"asking {who}" if party.there else f"{who} does not run")

    def _service(self) -> Answers:
        """Ask the service; one that has the lock is about to listen."""
        while True:
            try:
                yield from ask_to_stop(self._state, SERVICE_SOCKET)
                return
            except PermissionError:
                yield from _in_a_thread(self._stop_by_http)
                return
            except NobodyListensError:
                if not is_held(self._state, SERVICE_LOCK):
                    raise
                yield None
                time.sleep(SLICE_S)

    def _stop_by_http(self, order: StopOrder) -> None:
        while not order.abandoned:
            try:
                order.report(self._by_http())
                return
            except InputError:
                raise
            except GridlabError:
                time.sleep(SLICE_S)

    def _directly(self) -> Answers:
        held = is_held(self._state, SERVICE_LOCK)
        alive = "a living process holds the lock and does not answer" if held else "none runs"
        who = f"user {os.getuid()}, process {os.getpid()}, directly: {alive}"
        return _in_a_thread(self._release, who)

    def _release(self, order: StopOrder) -> None:
        from controller.guardian.direct import become_owner, release_directly
        from controller.guardian.site import ReleaseSite
        from controller.process.clocks import WallClock
        from controller.process.heartbeat import boot_id

        site = ReleaseSite.read(self._state)
        if self._config is not None:
            from core.load import load_config

            site = ReleaseSite.of(load_config(self._config), self._config)
        if site is None:
            raise GridlabError(f"{self._state}: converters unknown; name the configuration by --config")
        become_owner(self._state)
        release_directly(self._state, site, WallClock(), boot_id(), order)


def _load_direct_release() -> None:
    """Load what may be needed next while the guardian is asked."""
    Thread(target=import_module, args=("controller.guardian.direct",), daemon=True).start()


def _in_a_thread(work: Callable[[StopOrder], None], who: str = "") -> Answers:
    """Progress of an order that a thread executes; ends without a last one if that fails.

    Raises:
        GridlabError: it has failed.
    """
    order, errors = StopOrder(0, who), list[Exception]()

    def run() -> None:
        try:
            work(order)
            order.ended = True
        except (GridlabError, OSError) as error:
            errors.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    left_s = RECORDED_S
    try:
        while thread.is_alive() and left_s > 0:
            thread.join(SLICE_S)
            left_s -= SLICE_S * order.ended
            yield StopProgress(order.outcomes, ended=False) if order.outcomes else None
    finally:
        order.abandoned = True
        thread.join(left_s)
    if errors:
        raise errors[0]
    yield StopProgress(order.outcomes, ended=True)
