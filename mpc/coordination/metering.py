"""Counts the messages of a coordination and the numbers in them, with any carrier."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass

import numpy as np

from mpc.coordination.nodes import Message, Node
from mpc.coordination.rounds import Carried, Carrier

NUMBER_BYTES = 8


@dataclass
class MessageMeter:
    """What nodes have sent so far: ``payload_bytes`` are those of the numbers, 8 each, without envelopes."""

    messages: int = 0
    payload_bytes: int = 0

    def count(self, messages: Iterable[Message[object]]) -> None:
        """Add messages."""
        for message in messages:
            self.messages += 1
            self.payload_bytes += payload_bytes(message.body)

    def over(self, carry: Carrier) -> Carrier:
        """A carrier that also counts what it carries."""

        def metered(nodes: Sequence[Node]) -> Carried:
            return carry([_MeteredNode(node, self) for node in nodes])

        return metered


class _MeteredNode:
    """A node, with a count of what it sends."""

    def __init__(self, node: Node, meter: MessageMeter) -> None:
        self.name = node.name
        self._node, self._meter = node, meter

    @property
    def done(self) -> bool:
        return self._node.done

    def start(self) -> Sequence[Message[object]]:
        return self._counted(self._node.start())

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[object]]:
        return self._counted(self._node.react(inbox))

    def _counted(self, messages: Sequence[Message[object]]) -> Sequence[Message[object]]:
        self._meter.count(messages)
        return messages


def payload_bytes(body: object) -> int:
    """Bytes of all numbers in a body of data classes, mappings, sequences and arrays."""
    match body:
        case np.ndarray():
            return body.size * NUMBER_BYTES
        case bool() | int() | float() | np.generic():
            return NUMBER_BYTES
        case Mapping():
            return sum(payload_bytes(key) + payload_bytes(value) for key, value in body.items())
        case tuple() | list():
            return sum(map(payload_bytes, body))
    if is_dataclass(body):
        return sum(payload_bytes(getattr(body, each.name)) for each in fields(body))
    return 0
