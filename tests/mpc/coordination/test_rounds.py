"""Messages reach whom they name, round by round, until nobody has anything left to say."""

from collections.abc import Sequence

import numpy as np
import pytest

from core.prices import PriceSignal
from mpc.coordination import rounds
from mpc.coordination.nodes import Message, Node

BODY = PriceSignal(np.zeros((1, 2, 2)), np.zeros((1, 2)), 0.0)


class Caller:
    """Writes to ``others`` in turn; counts down the question with every answer."""

    done = True

    def __init__(self, name: str, others: Sequence[str] = (), count: int = 0) -> None:
        self.name = name
        self.inboxes: list[list[tuple[str, int]]] = []
        self._first = [Message(name, other, count, BODY) for other in others]

    def start(self) -> Sequence[Message]:
        return self._first

    def react(self, inbox: Sequence[Message]) -> Sequence[Message]:
        self.inboxes.append([(message.sender, message.question) for message in inbox])
        return [Message(self.name, m.sender, m.question - 1, m.body) for m in inbox if m.question > 0]


def test_messages_of_a_round_arrive_together() -> None:
    nodes = [Caller("a", ["b", "c", "b"], 2), Caller("b", ["c"], 1), Caller("c")]
    rounds.run(nodes)
    assert nodes[0].inboxes == [[("b", 1), ("b", 1), ("c", 1)]]
    assert nodes[1].inboxes == [[("a", 2), ("a", 2)], [("c", 0)], [("a", 0), ("a", 0)]]
    assert nodes[2].inboxes == [[("a", 2), ("b", 1)], [("a", 0)]]


@pytest.mark.parametrize("nodes", [[], [Caller("a"), Caller("b")]])
def test_silence_ends_at_once(nodes: list[Node]) -> None:
    rounds.run(nodes)


def test_names_are_unique() -> None:
    with pytest.raises(ValueError, match="unique names"):
        rounds.run([Caller("a"), Caller("b"), Caller("a")])


def test_a_message_to_nobody() -> None:
    with pytest.raises(KeyError, match="nobody"):
        rounds.run([Caller("a", ["nobody"]), Caller("b")])
