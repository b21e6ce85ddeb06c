"""The node of a resource, or of a whole fleet, for a dispatch over messages."""

from collections.abc import Sequence

from mpc.coordination.dispatch.fleet import Fleet, FleetResponder
from mpc.coordination.dispatch.signals import DispatchAnswer, DispatchSignal
from mpc.coordination.nodes import Message


class DispatchResourceNode:
    """Answers for a fleet; a question that comes again has the same answer, an older one has none."""

    done = True

    def __init__(self, name: str, fleet: Fleet) -> None:
        self.name, self.responder = name, FleetResponder(fleet)
        self._question = 0
        self._answer: DispatchAnswer | None = None

    def start(self) -> Sequence[Message[DispatchAnswer]]:
        """No messages: a resource waits for questions."""
        return ()

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[DispatchAnswer]]:
        """One answer per question."""
        return [answer for message in inbox for answer in self._answers(message)]

    def _answers(self, message: Message[object]) -> Sequence[Message[DispatchAnswer]]:
        if not isinstance(message.body, DispatchSignal) or message.question < self._question:
            return ()
        if self._answer is None or message.question > self._question:
            self._question, self._answer = message.question, self.responder.answer(message.body)
        return [Message(self.name, message.sender, message.question, self._answer)]
