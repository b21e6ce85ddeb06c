"""Moves messages between nodes in one process until nobody has anything left to say."""

from collections import defaultdict
from collections.abc import Sequence

from mpc.coordination.nodes import Message, Node


def run(nodes: Sequence[Node]) -> None:
    """Deliver all messages of a round, then those they caused, and so on; results stay in the nodes.

    Raises:
        ValueError: two nodes of one name.
        KeyError: a message to nobody.
    """
    by_name = {node.name: node for node in nodes}
    if len(by_name) < len(nodes):
        raise ValueError("coordination nodes need unique names")
    messages: list[Message] = [message for node in nodes for message in node.start()]
    while messages:
        inboxes: dict[str, list[Message]] = defaultdict(list)
        for message in messages:
            inboxes[message.receiver].append(message)
        messages = [reply for name, inbox in inboxes.items() for reply in by_name[name].react(inbox)]
