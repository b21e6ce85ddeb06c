"""Simulated links between nodes that work in rounds: loss and delay of messages, late and crashing nodes; from a
seed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mpc.coordination.nodes import Message


@dataclass(frozen=True)
class MessageLink:
    """Loss and delay of messages, joins and crashes of nodes; the default is perfect. One seed gives one run.

    A message sent in round k arrives in round k + 1, or up to ``delay_rounds`` rounds later, each with the same
    probability; later messages may overtake it. Each message is lost independently, so a loss is one-way.

    Attributes:
        loss: probability in [0, 1] that a message never arrives.
        delay_rounds: longest delay beyond the next round, ≥ 0.
        seed: of the generators of losses and of delays.
        joins: round ≥ 0 in which a node starts, by name; all others start in round 0.
        crashes: round from which a node is absent for good, by name. What is sent to an absent node is lost.

    Raises:
        ValueError: a number is out of its range, or a node crashes before it has started.
    """

    loss: float = 0.0
    delay_rounds: int = 0
    seed: int = 0
    joins: Mapping[str, int] = field(default_factory=dict)
    crashes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.loss <= 1:
            raise ValueError(f"link: asked for a loss of {self.loss:g}, allowed 0 … 1")
        if self.delay_rounds < 0:
            raise ValueError(f"link: asked for a delay of {self.delay_rounds} rounds, allowed ≥ 0")
        for name in self.joins.keys() | self.crashes.keys():
            if not 0 <= self.joins_in(name) < self.crashes.get(name, np.inf):
                joins = self.joins_in(name)
                raise ValueError(f"link: {name} joins in round {joins}, allowed ≥ 0 and before it crashes")

    def joins_in(self, name: str) -> int:
        """The round in which a node starts."""
        return self.joins.get(name, 0)

    def crashed(self, name: str, round_: int) -> bool:
        """Whether a node has crashed by ``round_``."""
        return round_ >= self.crashes.get(name, np.inf)

    def present(self, name: str, round_: int) -> bool:
        """Whether a node has started by ``round_`` and has not crashed."""
        return round_ >= self.joins_in(name) and not self.crashed(name, round_)

    def receives(self, name: str, round_: int) -> bool:
        """Whether messages that arrive in ``round_`` reach a node; in the round in which it starts they do not."""
        return round_ > self.joins_in(name) and not self.crashed(name, round_)


class Transit:
    """The messages on their way over a link, and the numbers of messages sent and lost so far."""

    def __init__(self, link: MessageLink) -> None:
        self.sent = self.lost = 0
        self._link = link
        self._losses, self._delays = np.random.default_rng(link.seed).spawn(2)
        self._arrivals: dict[int, list[Message[object]]] = defaultdict(list)

    def send(self, messages: Sequence[Message[object]], round_: int) -> None:
        """Accept the messages that a node sends in ``round_``."""
        for message in messages:
            late = int(self._delays.integers(0, self._link.delay_rounds, endpoint=True))
            self.sent += 1
            if self._losses.random() < self._link.loss:
                self.lost += 1
            else:
                self._arrivals[round_ + 1 + late].append(message)

    def arriving(self, round_: int) -> dict[str, list[Message[object]]]:
        """Remove and return the messages of ``round_`` by receiver, in the order in which they were sent."""
        inboxes: dict[str, list[Message[object]]] = defaultdict(list)
        for message in self._arrivals.pop(round_, ()):
            if self._link.receives(message.receiver, round_):
                inboxes[message.receiver].append(message)
            else:
                self.lost += 1
        return inboxes
