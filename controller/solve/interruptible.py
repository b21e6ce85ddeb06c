"""A carrier that ends when the user interrupts: for nodes that wait for each other, and watch their own budget."""

from collections.abc import Sequence

from controller.solve.problem import SolveWatch
from mpc.coordination.nodes import Message, Node
from mpc.coordination.rounds import Carried, run
from mpc.coordination.solving import SolveStatus


class Interruptible:
    """A :data:`mpc.coordination.rounds.Carrier` until silence, or an interrupt, after which no node does anything.

    Attributes:
        interrupted: whether the user ended it.
    """

    def __init__(self, watch: SolveWatch) -> None:
        self.interrupted = False
        self._watch = watch

    def __call__(self, nodes: Sequence[Node]) -> Carried:
        """Carry the messages of the nodes."""
        return run([_InterruptibleNode(node, self) for node in nodes])

    def ended(self) -> bool:
        """Whether there was an interrupt by now."""
        self.interrupted |= self._watch.expired() and self._watch.reason is SolveStatus.INTERRUPTED
        return self.interrupted


class _InterruptibleNode:
    """A node that is done after an interrupt."""

    def __init__(self, node: Node, carrier: Interruptible) -> None:
        self.name = node.name
        self._node, self._carrier = node, carrier

    @property
    def done(self) -> bool:
        return self._carrier.interrupted or self._node.done

    def start(self) -> Sequence[Message[object]]:
        return self._node.start()

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[object]]:
        return () if self._carrier.ended() else self._node.react(inbox)
