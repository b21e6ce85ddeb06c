"""What the frame gives to a kind of problem, and what it gets back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from core.errors import Caution
from core.time import Clock
from mpc.coordination.links import MessageLink
from mpc.coordination.solving import SolveRound, SolveStatus


@dataclass(frozen=True)
class SolveRequest:
    """Options of a solution; ``link`` None is a perfect link."""

    algorithm: str
    max_rounds: int
    budget_s: float
    link: MessageLink | None = None


class SolveWatch:
    """Watches an algorithm: reports its rounds, and says when its time is up, and why."""

    def __init__(
        self,
        clock: Clock,
        budget_s: float,
        observe: Callable[[SolveRound], None] = lambda _: None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self.reason: SolveStatus | None = None
        self._clock, self._end_s = clock, clock.monotonic_s() + budget_s
        self._observe, self._interrupted, self._seen = observe, interrupted, 0

    @property
    def clock(self) -> Clock:
        """The clock of the budget."""
        return self._clock

    def note(self, each: SolveRound) -> None:
        """Report a round."""
        self._seen += 1
        self._observe(each)

    def expired(self) -> bool:
        """Whether the algorithm has to end now, with what it has; :attr:`reason` then says why."""
        if self._interrupted():
            self.reason = SolveStatus.INTERRUPTED
        elif self._clock.monotonic_s() >= self._end_s:
            self.reason = SolveStatus.BUDGET
        return self.reason is not None

    def after(self, rounds: Sequence[SolveRound]) -> bool:
        """Report those of all rounds so far that are new; whether the time has :meth:`expired`."""
        for each in rounds[self._seen :]:
            self.note(each)
        return self.expired()


@dataclass(frozen=True)
class Solved:
    """The result of a kind.

    Attributes:
        objective, bound, gap_rel, violation: of the result, in the unit of the problem; None: not known.
        hops_per_round: messages that follow each other in a round.
        messages, payload_bytes: number sent, and the bytes of their numbers, 8 each, without envelopes.
        participants: their number.
        silent: names of those that the result holds.
        tables: the files of the kind, by name without extension.
        shown: the table for the terminal.
        more: further keys of summary.json.
    """

    status: SolveStatus
    objective: float | None
    bound: float | None
    gap_rel: float | None
    violation: float | None
    rounds: tuple[SolveRound, ...]
    hops_per_round: int
    messages: int
    payload_bytes: int
    participants: int
    silent: tuple[str, ...]
    tables: Mapping[str, pd.DataFrame]
    shown: pd.DataFrame
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """A problem with all its series read and checked: what it is in a few words, and the function that solves it.

    ``cautions``: what the user should know about the files that were read.
    """

    words: str
    solve: Callable[[SolveRequest, SolveWatch], Solved]
    cautions: tuple[Caution, ...] = ()
