"""Carriers within one process: :func:`run` until no message is left, :func:`run_rounds` with every node in every round.

``run`` suits nodes that wait for each other. ``run_rounds`` suits nodes that act in every round, as on graphs of
neighbours, and links that lose or delay messages.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mpc.coordination.links import MessageLink, Transit
from mpc.coordination.nodes import Deadline, Message, Node, Overdue

CARRIER = "carrier"
"""Sender of the deadline."""
MAX_ROUNDS = 10_000


class Ending(StrEnum):
    """Why a carrier stopped: no message was left, all nodes were done, or the last allowed round was over."""

    SILENCE = "silence"
    DONE = "done"
    ROUNDS = "rounds"


@dataclass(frozen=True)
class Carried:
    """Result of a carrier.

    Attributes:
        rounds: their number, without the starts.
        messages: number sent, lost ones included.
        lost: number that never reached a node: the link lost them, or their receiver was absent.
        unfinished: nodes that were not done at the end, in the order of the nodes, without crashed ones.
    """

    ending: Ending
    rounds: int
    messages: int
    lost: int
    unfinished: tuple[str, ...]


Carrier = Callable[[Sequence[Node]], Carried]
"""Moves the messages of nodes until it stops; the results stay in the nodes."""


def run(nodes: Sequence[Node]) -> Carried:
    """Deliver all messages of a round, then the answers to them, and so on, until none is left.

    If some node is not done then, answers are :class:`Overdue`: each node hears so, the last of ``nodes`` first, until
    one has messages again.

    Raises:
        ValueError: two nodes have the same name.
        KeyError: a message is addressed to an unknown node.
    """
    by_name = _by_name(nodes)
    messages = [message for node in nodes for message in node.start()]
    rounds, sent = 0, len(messages)
    while messages or (messages := _overdue(nodes)):
        inboxes: dict[str, list[Message[object]]] = defaultdict(list)
        for message in messages:
            inboxes[message.receiver].append(message)
        messages = [reply for name, inbox in inboxes.items() for reply in by_name[name].react(inbox)]
        rounds, sent = rounds + 1, sent + len(messages)
    return Carried(Ending.SILENCE, rounds, sent, 0, tuple(node.name for node in nodes if not node.done))


def run_rounds(
    nodes: Sequence[Node],
    link: MessageLink | None = None,
    max_rounds: int = MAX_ROUNDS,
    expired: Callable[[], bool] = lambda: False,
) -> Carried:
    """Call every present node once per round, with an empty inbox or not, until all are done.

    In the last round, which is ``max_rounds`` or the first that finds the time ``expired``, every node finds a
    :class:`Deadline` at the end of its inbox.

    Args:
        nodes: in the order in which they are called.
        link: perfect by default.
        max_rounds: more than the round in which the last node joins, so at least 1.
        expired: asked before each round in which all nodes have joined.

    Raises:
        ValueError: two nodes have the same name, ``link`` names an unknown node, or ``max_rounds`` is too small.
        KeyError: a message is addressed to an unknown node.
    """
    link, by_name = link or MessageLink(), _by_name(nodes)
    last_join = _last_join(link, by_name, max_rounds)
    transit, ending = Transit(link), Ending.ROUNDS
    for k in range(max_rounds + 1):
        last = k == max_rounds or (k > last_join and expired())
        inboxes = transit.arriving(k)
        present = [node for node in nodes if link.present(node.name, k)]
        for node in present:
            starts = k == link.joins_in(node.name)
            messages = node.start() if starts else node.react(_inbox(node.name, inboxes, k, last))
            transit.send(_addressed(messages, by_name), k)
        if last:
            break
        if last_join <= k and all(node.done for node in present):
            ending = Ending.DONE
            break
    unfinished = tuple(node.name for node in nodes if not (node.done or link.crashed(node.name, k)))
    return Carried(ending, k, transit.sent, transit.lost, unfinished)


def _overdue(nodes: Sequence[Node]) -> list[Message[object]]:
    """The first messages that silence brings about; none if all nodes are done."""
    if all(node.done for node in nodes):
        return []
    late = (node.react([Message(CARRIER, node.name, 0, Overdue())]) for node in reversed(nodes))
    return list(next(filter(None, late), ()))


def _by_name(nodes: Sequence[Node]) -> dict[str, Node]:
    counts = Counter(node.name for node in nodes)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise ValueError(f"coordination nodes need unique names; twice: {', '.join(twice)}")
    return {node.name: node for node in nodes}


def _last_join(link: MessageLink, by_name: Mapping[str, Node], max_rounds: int) -> int:
    """The round in which the last node starts, after a check that names and rounds are possible."""
    last_join = max(map(link.joins_in, by_name), default=0)
    if strangers := (link.joins.keys() | link.crashes.keys()) - by_name.keys():
        raise ValueError(f"link: there is no node {', '.join(sorted(strangers))}")
    if max_rounds <= last_join:
        raise ValueError(f"asked for at most {max_rounds} rounds, allowed > {last_join}, when the last node joins")
    return last_join


def _inbox(
    name: str, inboxes: Mapping[str, Sequence[Message[object]]], round_: int, last: bool
) -> Sequence[Message[object]]:
    """What a node finds in a round, at its end the deadline in the last one."""
    deadline = [Message(CARRIER, name, round_, Deadline())] if last else []
    return [*inboxes.get(name, ()), *deadline]


def _addressed(messages: Sequence[Message[object]], by_name: Mapping[str, Node]) -> Sequence[Message[object]]:
    """The messages, after a check that their receivers exist."""
    for message in messages:
        if message.receiver not in by_name:
            raise KeyError(message.receiver)
    return messages
