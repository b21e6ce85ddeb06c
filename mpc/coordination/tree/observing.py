"""Observation of a coordination by a tree while it runs."""

from collections.abc import Callable, Sequence

from mpc.coordination.nodes import Message, Node
from mpc.coordination.rounds import Carried, Carrier
from mpc.coordination.tree.outcome import TreeRound
from mpc.coordination.tree.root import Root

TreeObserver = Callable[[TreeRound], None]


def observed(carry: Carrier, observer: TreeObserver) -> Carrier:
    """A carrier that also calls ``observer`` for each round that the root has judged."""

    def observing(nodes: Sequence[Node]) -> Carried:
        return carry([_ObservedRoot(node, observer) if isinstance(node, Root) else node for node in nodes])

    return observing


class _ObservedRoot:
    """The root's node, with a call of the observer for each of its rounds."""

    def __init__(self, root: Root, observer: TreeObserver) -> None:
        self.name = root.name
        self._root, self._observer = root, observer

    @property
    def done(self) -> bool:
        return self._root.done

    def start(self) -> Sequence[Message[object]]:
        return self._root.start()

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[object]]:
        seen = len(self._root.rounds)
        messages = self._root.react(inbox)
        for one in self._root.rounds[seen:]:
            self._observer(one)
        return messages
