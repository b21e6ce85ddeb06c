"""Nodes that are overheard while they coordinate."""

from collections.abc import Sequence

from core.config_coordination import CoordinationConfig
from core.scenario import Scenario
from mpc.coordination import rounds
from mpc.coordination.nodes import Message, Node
from mpc.coordination.participants import ProsumerNode
from mpc.coordination.star.operator import GridOperator
from mpc.coordination.star.outcome import StarOutcome
from mpc.grid.rows import GridModel
from mpc.prosumer import participants
from tests.support.virtual_clock import VirtualClock

PRICE_CAP = 2.0


class Overheard:
    """A node that does what ``node`` does; what it says goes into ``record`` as well."""

    def __init__(self, node: Node, record: list[Message]) -> None:
        self.name = node.name
        self._node = node
        self._record = record

    @property
    def done(self) -> bool:
        return self._node.done

    def start(self) -> Sequence[Message]:
        return self._kept(self._node.start())

    def react(self, inbox: Sequence[Message]) -> Sequence[Message]:
        return self._kept(self._node.react(inbox))

    def _kept(self, messages: Sequence[Message]) -> Sequence[Message]:
        self._record.extend(messages)
        return messages


def prosumer_nodes(scenario: Scenario) -> list[ProsumerNode]:
    return [ProsumerNode(participant) for participant in participants(scenario)]


def overhear(
    scenario: Scenario, settings: CoordinationConfig, known_to_operator: Scenario | None = None
) -> tuple[StarOutcome, list[Message]]:
    """Coordinate and return everything that was said; the operator may be given another scenario to know."""
    record: list[Message] = []
    operator = GridOperator(GridModel((known_to_operator or scenario).problem, PRICE_CAP), settings, VirtualClock())
    rounds.run([Overheard(node, record) for node in (operator, *prosumer_nodes(scenario))])
    assert isinstance(operator.outcome, StarOutcome)
    return operator.outcome, record
