"""Nodes that agree on the mean of their values by messages to neighbours: push-sum with running sums per edge.

Every round a node keeps one share of its mass (s, v) and gives one to each neighbour. It sends the sum of all that it
ever gave to a neighbour, so that a lost message only delays mass. The estimate is s/v.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mpc.coordination.nodes import Deadline, Message

STEADY_ROUNDS, STEADY = 8, 1e-12


@dataclass(frozen=True)
class Given:
    """All mass that the sender ever gave to the receiver."""

    s: float
    v: float


class Averager:
    """Done once ``STEADY_ROUNDS`` rounds with news in a row have left its estimate alone."""

    def __init__(self, name: str, value: float, neighbours: Sequence[str]) -> None:
        self.name = name
        self.estimates: list[float] = []
        self.inboxes: list[list[Message[object]]] = []
        self.out_of_time = False
        self._s, self._v, self._steady = value, 1.0, 0
        self._given = dict.fromkeys(neighbours, Given(0.0, 0.0))
        self._got = dict.fromkeys(neighbours, Given(0.0, 0.0))

    @property
    def done(self) -> bool:
        return self._steady >= STEADY_ROUNDS

    def start(self) -> Sequence[Message[Given]]:
        return self._share()

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[Given]]:
        self.inboxes.append(list(inbox))
        before = self._s / self._v
        for message in inbox:
            self.out_of_time |= isinstance(message.body, Deadline)
            if isinstance(message.body, Given) and message.body.v > self._got[message.sender].v:
                self._s += message.body.s - self._got[message.sender].s
                self._v += message.body.v - self._got[message.sender].v
                self._got[message.sender] = message.body
        self.estimates.append(self._s / self._v)
        if inbox:
            self._steady = self._steady + 1 if abs(self.estimates[-1] - before) <= STEADY else 0
        return self._share()

    def _share(self) -> Sequence[Message[Given]]:
        parts = len(self._given) + 1
        self._s, self._v = self._s / parts, self._v / parts
        self._given = {name: Given(old.s + self._s, old.v + self._v) for name, old in self._given.items()}
        return [Message(self.name, name, len(self.inboxes), given) for name, given in self._given.items()]
