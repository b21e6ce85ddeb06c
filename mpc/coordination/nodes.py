"""Nodes of a coordination: state machines without I/O that exchange messages and nothing else.

A node returns the messages to begin with (:meth:`Node.start`) and those in answer to others (:meth:`Node.react`). A
*carrier* moves them (:mod:`mpc.coordination.rounds`, or a network link); nodes do not know how.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Body = TypeVar("Body", covariant=True)


@dataclass(frozen=True)
class Message(Generic[Body]):
    """An envelope; an answer carries the number of its question. ``body`` is all that the receiver learns of the
    sender.
    """

    sender: str
    receiver: str
    question: int
    body: Body


@dataclass(frozen=True)
class Deadline:
    """No time is left: a node that receives it concludes with its best result, without the answers still missing.

    It is sent by whatever watches the time, under any sender and question.
    """


@dataclass(frozen=True)
class Overdue:
    """Answers that are still missing come too late: a node that receives it goes on without them if it can.

    Like the deadline it is sent by whatever watches the time; a node below hears it before the node that waits for it.
    """


class Node(Protocol):
    """One party of a coordination. It ignores messages with a body of a kind it does not know."""

    @property
    def name(self) -> str:
        """Unique address."""
        ...

    @property
    def done(self) -> bool:
        """Whether the node needs no further round. A node that only answers is always done."""
        ...

    def start(self) -> Sequence[Message[object]]:
        """Messages to begin with; may be empty."""
        ...

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[object]]:
        """Messages in answer to those that arrived, possibly none. ``inbox`` may be empty."""
        ...
