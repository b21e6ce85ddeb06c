"""Who is drawn: everybody in a small grid; in a large one a few who matter most, before the band of all."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from controller.report.primitives.style import DASHES, QUIET, Look, looks
from controller.report.primitives.summary import Described, RunSummary

ALL_UP_TO = 12
REPRESENTATIVES = 5
PASSIVE_UP_TO = 6


@dataclass(frozen=True)
class Participants:
    """The prosumers of a run, and their looks, which depend on the order of the configuration alone in a small grid.

    Attributes:
        prosumers: everybody, in the order of the configuration.
        shown: those who have a line of their own.
        nodes: in the order of the run's tables.
    """

    scenario: Described
    prosumers: tuple[str, ...]
    shown: tuple[str, ...]
    nodes: tuple[str, ...]

    @property
    def crowd(self) -> bool:
        """Whether there are more prosumers than lines can be told apart."""
        return len(self.shown) < len(self.prosumers)

    def fits(self, other: "Participants") -> bool:
        """Whether ``other`` has the same prosumers at the same nodes, so that both can be drawn alike."""
        return (self.prosumers, self.nodes, self.scenario.nodes) == (other.prosumers, other.nodes, other.scenario.nodes)

    @cached_property
    def looks(self) -> dict[str, Look]:
        """The look of each prosumer with a line of their own."""
        return looks(self.shown)

    @cached_property
    def node_looks(self) -> dict[str, Look]:
        """A node looks like its first prosumer; passive nodes are grey, or left out where they are many."""
        scenario, result = self.scenario, dict[str, Look]()
        for name in self.shown:
            result.setdefault(scenario.nodes[name], self.looks[name])
        result[scenario.slack] = Look("black", DASHES[2])
        for k, node in enumerate(() if self.node_crowd else self._passive):
            result[node] = Look(QUIET, DASHES[k % len(DASHES)], 0.9)
        return result

    @property
    def node_crowd(self) -> bool:
        """Whether there are more nodes than lines can be told apart."""
        return self.crowd or len(self._passive) > PASSIVE_UP_TO

    @cached_property
    def _passive(self) -> list[str]:
        """Nodes besides the slack at which nobody is connected."""
        taken = {*self.scenario.nodes.values(), self.scenario.slack}
        return [node for node in self.nodes if node not in taken]


def participants(summary: RunSummary, prosumers: Iterable[str], v_pu: pd.DataFrame) -> Participants:
    """Of a run; in a crowd those whom coordination moves most.

    Args:
        prosumers: in the order of the configuration.
        v_pu: voltages that tell whose node is in trouble, [times, nodes].
    """
    everybody, nodes = tuple(prosumers), tuple(v_pu.columns)
    if len(everybody) <= ALL_UP_TO:
        return Participants(summary.scenario, everybody, everybody, nodes)
    foremost = sorted(everybody, key=lambda name: _weight(summary, v_pu, name), reverse=True)[:REPRESENTATIVES]
    return Participants(summary.scenario, everybody, tuple(name for name in everybody if name in foremost), nodes)


def _weight(summary: RunSummary, v_pu: pd.DataFrame, name: str) -> tuple[float, float, float]:
    """Compensation, curtailment, distance of the node's voltage from the middle of the limits."""
    scenario = summary.scenario
    distance = float(np.abs(v_pu[scenario.nodes[name]] - (scenario.v_min_pu + scenario.v_max_pu) / 2).max())
    return round(summary.cost_chf[name].compensation, 6), round(summary.curtailed_kwh[name], 6), distance
