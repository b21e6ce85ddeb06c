"""Nodes of a coordination: sans-I/O state machines that exchange messages and nothing else.

A node says what it wants sent (:meth:`Node.start`) and what it answers to what arrived (:meth:`Node.react`). Who moves
the messages is a *carrier* (:mod:`mpc.coordination.rounds`, or a network link) and none of the node's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Body = TypeVar("Body", covariant=True)


@dataclass(frozen=True)
class Message(Generic[Body]):
    """An envelope; an answer carries the number of its question. ``body`` is the whole privacy surface."""

    sender: str
    receiver: str
    question: int
    body: Body


@dataclass(frozen=True)
class Deadline:
    """No time is left: a node that receives it ends with the best that it has. What is not answered yet never will be.

    Whoever watches the time sends it, under any sender and question.
    """


class Node(Protocol):
    """One party of a coordination. It ignores messages whose body says nothing to it."""

    @property
    def name(self) -> str:
        """Unique address."""
        ...

    @property
    def done(self) -> bool:
        """Whether the node needs no further round. A node that only answers is always done."""
        ...

    def start(self) -> Sequence[Message[object]]:
        """Messages to begin with."""
        ...

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[object]]:
        """Messages in answer to those that arrived; none while there is nothing to say. ``inbox`` may be empty."""
        ...
