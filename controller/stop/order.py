"""Emergency stops within a process, and the permits of writers that each of them makes void.

Everything here may be used by any thread.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from core.devices import Outcome
from core.errors import GridlabError


class StopOrder:
    """One emergency stop, and what became of each converter.

    Attributes:
        who: asked for it.
        writer_gone: the service's own writer will send nothing any more.
        ended: nothing more is attempted for it.
        abandoned: whoever asked waits no longer.
    """

    def __init__(self, number: int, who: str) -> None:
        self.number, self.who = number, who
        self.writer_gone = self.ended = self.abandoned = False
        self._lock = Lock()
        self._outcomes: dict[str, Outcome] = {}

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """The outcome of each converter's release so far; UNKNOWN while none is verified."""
        with self._lock:
            return dict(self._outcomes)

    @property
    def unsafe(self) -> frozenset[str]:
        """Converters that are not read back as safe yet."""
        return frozenset(name for name, outcome in self.outcomes.items() if outcome is not Outcome.VERIFIED)

    def report(self, outcomes: Mapping[str, Outcome]) -> None:
        """Add outcomes of attempts that began after the order; a converter that was read back as safe stays so."""
        with self._lock:
            known = self._outcomes
            self._outcomes = known | {n: o for n, o in outcomes.items() if known.get(n) is not Outcome.VERIFIED}


StopListener = Callable[[StopOrder], None]
"""Is called in the thread that stops, with the order; must not block."""


class StopSwitch:
    """Counts the stops of a process and passes each on to its listeners."""

    def __init__(self) -> None:
        self.order: StopOrder | None = None
        self._lock = Lock()
        self._listeners: tuple[StopListener, ...] = ()
        self._services = 0

    @property
    def stops(self) -> int:
        """How many there have been."""
        return self.order.number if self.order else 0

    @property
    def serving(self) -> bool:
        """Whether a service obeys the orders, over its own connections if it can."""
        return self._services > 0

    @property
    def supervised(self) -> bool:
        """Whether anybody else executes them as well."""
        return len(self._listeners) > self._services

    def trip(self, who: str) -> StopOrder:
        """Stop: every permit of before is void when this returns."""
        with self._lock:
            order = self.order = StopOrder(self.stops + 1, who)
            listeners = self._listeners
        for listener in listeners:
            listener(order)
        return order

    def permit(self) -> "Permit":
        """A permit to send setpoints until the next stop; take it when ACTIVE is asked for, not when it begins."""
        return Permit(self, self.stops)

    def first_permit(self) -> "Permit":
        """The permit of a process that resumes ACTIVE: until the first stop since it began."""
        return Permit(self, 0)

    @contextmanager
    def heard(self, listener: StopListener, *, service: bool = False) -> Iterator[None]:
        """Pass orders on to ``listener`` until the block ends; a ``service`` releases by itself if it can."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
            self._services += service
        try:
            yield
        finally:
            with self._lock:
                self._listeners = tuple(known for known in self._listeners if known is not listener)
                self._services -= service


@dataclass(frozen=True)
class Permit:
    """Whether setpoints may be sent: void from the next stop on."""

    switch: StopSwitch
    stops: int

    @property
    def valid(self) -> bool:
        """Whether there was no stop since."""
        return self.switch.stops == self.stops

    def require(self) -> None:
        """Check that it is valid.

        Raises:
            GridlabError: there was a stop since.
        """
        if not self.valid:
            raise GridlabError("service: asked mode active, stopped by the emergency stop in the meantime")

    def released(self, converter: str) -> bool:
        """Whether a stop since then has already read that converter back as safe."""
        order = self.switch.order
        return order is not None and not self.valid and order.outcomes.get(converter) is Outcome.VERIFIED
