"""Participants of a coordination by prices, and the node that answers for one."""

from collections.abc import Sequence
from typing import Protocol

from core.plan import ProsumerPlan
from core.prices import DemandProfile, PriceSignal
from mpc.coordination.nodes import Message


class PriceResponsive(Protocol):
    """Anything that answers a price signal with a demand profile."""

    @property
    def name(self) -> str:
        """Unique among the participants."""
        ...

    def respond(self, signal: PriceSignal) -> DemandProfile:
        """Return the profile of least advertised cost (own costs included), and that cost."""
        ...


class Participant(PriceResponsive, Protocol):
    """A participant that also gives its owner the decisions behind the answer."""

    def plan(self, signal: PriceSignal) -> ProsumerPlan:
        """Return the own decisions behind :meth:`respond`. They are for the owner alone: no message carries them."""
        ...


class ProsumerNode:
    """Answers every price signal with the profile of least cost, and reveals nothing else of the prosumer."""

    done = True

    def __init__(self, prosumer: PriceResponsive) -> None:
        self.name = prosumer.name
        self._prosumer = prosumer

    def start(self) -> Sequence[Message[DemandProfile]]:
        """No messages: a prosumer waits for signals."""
        return ()

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[DemandProfile]]:
        """One answer per signal."""
        return [
            Message(self.name, message.sender, message.question, self._prosumer.respond(message.body))
            for message in inbox
            if isinstance(message.body, PriceSignal)
        ]
