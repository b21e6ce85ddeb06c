"""Nodes of a coordination: sans-I/O state machines that exchange prices for profiles and nothing else.

A node says what it wants sent (:meth:`Node.start`) and what it answers to what arrived (:meth:`Node.react`); who
moves the messages (a loop in process, a network link) is none of its business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.prices import DemandProfile, PriceSignal
from mpc.prosumer import PriceResponsive


@dataclass(frozen=True)
class Message:
    """An envelope; an answer carries the number of its question. ``body`` is the whole privacy surface."""

    sender: str
    receiver: str
    question: int
    body: PriceSignal | DemandProfile


class Node(Protocol):
    """One party of a coordination."""

    @property
    def name(self) -> str:
        """Unique address."""
        ...

    def start(self) -> Sequence[Message]:
        """Messages to begin with."""
        ...

    def react(self, inbox: Sequence[Message]) -> Sequence[Message]:
        """Messages in answer to those that arrived; none while there is nothing to say."""
        ...


class ProsumerNode:
    """Answers every price signal with the profile of least cost. Its data stay behind this door."""

    def __init__(self, prosumer: PriceResponsive) -> None:
        self.name = prosumer.name
        self._prosumer = prosumer

    def start(self) -> Sequence[Message]:
        """A prosumer waits to be asked."""
        return ()

    def react(self, inbox: Sequence[Message]) -> Sequence[Message]:
        """One answer per signal."""
        return [
            Message(self.name, message.sender, message.question, self._prosumer.respond(message.body))
            for message in inbox
            if isinstance(message.body, PriceSignal)
        ]
