"""The prosumers and nodes that figures show: all in a small grid; in a large one a few, in front of the range of
all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from controller.report.primitives.style import DASHES, QUIET, Look, looks
from controller.report.primitives.summary import ScenarioSummary

ALL_UP_TO = 12
REPRESENTATIVES = 5
PASSIVE_UP_TO = 6


@dataclass(frozen=True)
class Participants:
    """The prosumers of a run and their looks, which in a small grid depend only on the order of the configuration.

    Attributes:
        prosumers: all, in the order of the configuration.
        shown: those with their own line.
        nodes: in the order of the run's tables.
    """

    scenario: ScenarioSummary
    prosumers: tuple[str, ...]
    shown: tuple[str, ...]
    nodes: tuple[str, ...]

    @property
    def too_many_prosumers(self) -> bool:
        """Whether there are more prosumers than distinguishable lines."""
        return len(self.shown) < len(self.prosumers)

    def same_grid(self, other: "Participants") -> bool:
        """Whether ``other`` has the same prosumers at the same nodes, so that both can have the same looks."""
        return (self.prosumers, self.nodes, self.scenario.nodes) == (other.prosumers, other.nodes, other.scenario.nodes)

    @cached_property
    def looks(self) -> dict[str, Look]:
        """The look of each prosumer with its own line."""
        return looks(self.shown)

    @cached_property
    def node_looks(self) -> dict[str, Look]:
        """A node has the look of its first prosumer; nodes without one are grey, or left out if there are many."""
        scenario, result = self.scenario, dict[str, Look]()
        for name in self.shown:
            result.setdefault(scenario.nodes[name], self.looks[name])
        result[scenario.slack] = Look("black", DASHES[2])
        for k, node in enumerate(() if self.too_many_nodes else self._passive):
            result[node] = Look(QUIET, DASHES[k % len(DASHES)], 0.9)
        return result

    @property
    def too_many_nodes(self) -> bool:
        """Whether there are more nodes than distinguishable lines."""
        return self.too_many_prosumers or len(self._passive) > PASSIVE_UP_TO

    @cached_property
    def _passive(self) -> list[str]:
        """Nodes besides the slack without a prosumer."""
        occupied = {*self.scenario.nodes.values(), self.scenario.slack}
        return [node for node in self.nodes if node not in occupied]


Moved = Mapping[str, tuple[float, float]]
"""By prosumer: its compensation and its curtailed energy, by which coordination affects it."""


def participants(scenario: ScenarioSummary, moved: Moved, prosumers: Iterable[str], v_pu: pd.DataFrame) -> Participants:
    """The participants of a run; in a large grid those that coordination affects most.

    Args:
        prosumers: in the order of the configuration.
        v_pu: voltages, [times, nodes], to find the nodes closest to their limits.
    """
    everybody, nodes = tuple(prosumers), tuple(v_pu.columns)
    if len(everybody) <= ALL_UP_TO:
        return Participants(scenario, everybody, everybody, nodes)
    middle_pu = (scenario.v_min_pu + scenario.v_max_pu) / 2

    def weight(name: str) -> tuple[float, float, float]:
        compensation, curtailed_kwh = moved[name]
        distance = float(np.abs(v_pu[scenario.nodes[name]] - middle_pu).max())
        return round(compensation, 6), round(curtailed_kwh, 6), distance

    foremost = sorted(everybody, key=weight, reverse=True)[:REPRESENTATIVES]
    return Participants(scenario, everybody, tuple(name for name in everybody if name in foremost), nodes)
