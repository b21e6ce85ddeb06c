"""The node of a participant that answers prices: all that a coordination by prices asks of a prosumer."""

from collections.abc import Sequence

from core.prices import DemandProfile, PriceSignal
from mpc.coordination.nodes import Message
from mpc.prosumer import PriceResponsive


class ProsumerNode:
    """Answers every price signal with the profile of least cost. Its data stay behind this door."""

    done = True

    def __init__(self, prosumer: PriceResponsive) -> None:
        self.name = prosumer.name
        self._prosumer = prosumer

    def start(self) -> Sequence[Message[DemandProfile]]:
        """A prosumer waits to be asked."""
        return ()

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[DemandProfile]]:
        """One answer per signal."""
        return [
            Message(self.name, message.sender, message.question, self._prosumer.respond(message.body))
            for message in inbox
            if isinstance(message.body, PriceSignal)
        ]
