"""The coordinator's node, for a dispatch over messages.

A question is the same for all. The coordinator asks those again who have not answered, and holds those who stay silent
at their last answer, those never heard at their declared fallback; the others are then dispatched to what is left of
the target. Who answers again is dispatched again.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from mpc.coordination.dispatch.coordinator import DispatchIteration, DispatchSettings
from mpc.coordination.dispatch.outcome import SilentResource
from mpc.coordination.dispatch.signals import MEMORY, Column, DispatchAnswer, DispatchSignal, Mixture
from mpc.coordination.dispatch.target import SectorTarget
from mpc.coordination.nodes import Deadline, Message
from mpc.coordination.solving import SolveRound

ASK_AGAIN, PATIENCE = 3, 60
"""Calls without all answers after which is asked again, and after which the silent ones are held."""


@dataclass(frozen=True)
class Known:
    """What a resource does as far as the coordinator knows: outputs, kW, [M], and own cost."""

    output: FloatArray
    cost: float


class DispatchCoordinator:
    """Coordinates until the result is certified and everyone heard knows it.

    Args:
        fallbacks: what is held of a resource that was never heard, by the name of its node.
    """

    name = "coordinator"

    def __init__(self, target: SectorTarget, settings: DispatchSettings, fallbacks: Mapping[str, Known]) -> None:
        self.done = False
        self._target, self._iteration = target, DispatchIteration(target, settings)
        self._known = dict(fallbacks)
        self._adopted = dict(fallbacks)
        self._heard: dict[str, int] = {}
        self._held: frozenset[str] = frozenset()
        self._answers: dict[str, DispatchAnswer] = {}
        self._memory = {kind: deque[tuple[int, dict[str, Known]]](maxlen=MEMORY[kind]) for kind in Column}
        self._waited = 0
        self._settling = False

    @property
    def iteration(self) -> DispatchIteration:
        """The state of the algorithm."""
        return self._iteration

    @property
    def rounds(self) -> Sequence[SolveRound]:
        """The rounds so far."""
        return self._iteration.rounds

    @property
    def silent(self) -> tuple[SilentResource, ...]:
        """The nodes whose last answer or fallback is held, with the rounds since it."""
        ages = {name: self._heard.get(name) for name in self._known if name in self._held}
        now = self._iteration.round - 1
        return tuple(SilentResource(name, None if at is None else now - at) for name, at in ages.items())

    @property
    def outputs_kw(self) -> Mapping[str, FloatArray]:
        """The agreed outputs of each node, [M]."""
        return {name: each.output for name, each in self._adopted.items()}

    def start(self) -> Sequence[Message[DispatchSignal]]:
        """The first question."""
        return self._ask_all()

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[DispatchSignal]]:
        """Collect answers; conclude the round when it is complete, when patience is over, or at a deadline."""
        for message in inbox:
            if isinstance(message.body, DispatchAnswer) and message.question == self._iteration.round:
                self._answers[message.sender] = message.body
        if self.done:
            return ()
        if any(isinstance(message.body, Deadline) for message in inbox):
            return self._end()
        missing = self._missing()
        self._waited += 1
        if not missing or self._waited >= PATIENCE:
            return self._conclude()
        return self._ask(missing) if self._waited % ASK_AGAIN == 0 else ()

    def _conclude(self) -> Sequence[Message[DispatchSignal]]:
        """Take up the answers, then ask the next question, or let all adopt the result; it ends when they have."""
        if self._settling and not self._missing():
            self.done = True
            return ()
        self._update()
        self._settling = self._iteration.done
        return self._ask_all()

    def _end(self) -> Sequence[Message[DispatchSignal]]:
        """The result at a deadline: without answers that are overdue; others may still be on their way."""
        missing, overdue = self._missing(), self._waited >= ASK_AGAIN or not self._iteration.rounds
        if (missing and overdue) or not (missing or self._settling):
            self._update()
        while len(self._held) == len(self._known) and not self._iteration.done:
            self._update()
        self.done = True
        return self._ask_all()

    def _missing(self) -> frozenset[str]:
        """Who has to answer and has not."""
        return frozenset(self._known.keys() - self._answers.keys() - self._held)

    def _update(self) -> None:
        """Hold whoever has not answered, and take up the answers of the others."""
        self._hold(frozenset(self._known.keys() - self._answers.keys()))
        number, first = self._iteration.round, not self._memory[Column.PLAIN]
        answers = {name: self._answers[name] for name in self._known if name in self._answers}
        total = sum(answers.values(), start=DispatchAnswer.of_nobody(len(self._target.kw)))
        plain = {name: Known(each.plain_output, each.plain_cost) for name, each in answers.items()}
        priced = {name: Known(each.output, each.cost) for name, each in answers.items()}
        self._memory[Column.PLAIN].append((number, plain))
        if not first:
            self._memory[Column.PRICED].append((number, priced))
        self._known |= priced
        self._heard |= dict.fromkeys(self._answers, number)
        self._iteration.update(total)
        self._adopt(self._iteration.adopt)

    def _hold(self, held: frozenset[str]) -> None:
        """Go on with others held than before."""
        if held != self._held:
            output = sum((self._known[name].output for name in held), start=np.zeros(len(self._target.kw)))
            self._iteration.hold(self._target.beyond(output), sum(self._known[name].cost for name in held))
            self._adopted |= {name: self._known[name] for name in held}
            self._held = held

    def _adopt(self, mixture: Mixture | None) -> None:
        """What each node does from now on, if it adopts the mixture as everyone."""
        if mixture is None:
            return
        parts = [(known, mixture.weights.get((k, kind), 0.0)) for kind in Column for k, known in self._memory[kind]]
        for name in self._answers:
            weighted = [(known[name], weight) for known, weight in parts if weight]
            if mixture.adopted:
                weighted.append((self._adopted[name], mixture.adopted))
            output = sum((weight * each.output for each, weight in weighted), start=np.zeros(len(self._target.kw)))
            self._adopted[name] = Known(output, sum(weight * each.cost for each, weight in weighted))

    def _ask_all(self) -> Sequence[Message[DispatchSignal]]:
        """Ask everyone a new question, also those who are held."""
        self._answers, self._waited = {}, 0
        return self._ask(self._known)

    def _ask(self, names: Iterable[str]) -> Sequence[Message[DispatchSignal]]:
        """Ask some nodes the question of the round."""
        signal = self._iteration.signal()
        return [Message(self.name, name, signal.round, signal) for name in sorted(names)]
