"""Observation of a coordination by a star while it runs."""

from collections.abc import Callable, Sequence

from mpc.coordination.nodes import Message, Node
from mpc.coordination.rounds import Carried, Carrier
from mpc.coordination.star.operator import GridOperator
from mpc.coordination.star.outcome import Iteration

Observer = Callable[[Iteration], None]


def observed(carry: Carrier, observer: Observer) -> Carrier:
    """A carrier that also calls ``observer`` after each round of the operator."""

    def observing(nodes: Sequence[Node]) -> Carried:
        return carry([_ObservedOperator(node, observer) if isinstance(node, GridOperator) else node for node in nodes])

    return observing


class _ObservedOperator:
    """The operator's node, with a call of the observer for each of its rounds."""

    def __init__(self, operator: GridOperator, observer: Observer) -> None:
        self.name = operator.name
        self._operator, self._observer = operator, observer

    @property
    def done(self) -> bool:
        return self._operator.done

    def start(self) -> Sequence[Message[object]]:
        return self._operator.start()

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[object]]:
        seen = len(self._operator.iterations)
        messages = self._operator.react(inbox)
        for iteration in self._operator.iterations[seen:]:
            self._observer(iteration)
        return messages
