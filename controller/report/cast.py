"""Who is drawn: everybody in a small grid; in a large one a few who matter most, before the band of all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from controller.report.record import Record
from controller.report.style import DASHES, QUIET, Look, looks

ALL_UP_TO = 12
REPRESENTATIVES = 5
PASSIVE_UP_TO = 6


@dataclass(frozen=True)
class Cast:
    """The prosumers of a record, and their looks."""

    record: Record

    @cached_property
    def prosumers(self) -> list[str]:
        """Everybody, in the order of the configuration."""
        return list(self.record.result.plan["p_kw"].columns)

    @property
    def crowd(self) -> bool:
        """Whether there are more prosumers than lines can be told apart."""
        return len(self.prosumers) > ALL_UP_TO

    @cached_property
    def shown(self) -> list[str]:
        """Who has a line of their own."""
        if not self.crowd:
            return self.prosumers
        foremost = sorted(self.prosumers, key=self._weight, reverse=True)[:REPRESENTATIVES]
        return [name for name in self.prosumers if name in foremost]

    @cached_property
    def looks(self) -> dict[str, Look]:
        """The look of each prosumer with a line of their own."""
        return looks(self.shown)

    @cached_property
    def node_looks(self) -> dict[str, Look]:
        """See :func:`node_looks`; passive nodes are left out where they are many."""
        scenario = self.record.summary.scenario
        homes = {name: scenario.nodes[name] for name in self.shown if name in scenario.nodes}
        return node_looks(self.looks, homes, scenario.slack, () if self.node_crowd else self._passive)

    @property
    def node_crowd(self) -> bool:
        """Whether voltages are shown as a band."""
        return self.crowd or len(self._passive) > PASSIVE_UP_TO

    @cached_property
    def _passive(self) -> list[str]:
        scenario = self.record.summary.scenario
        return passive(self.record.result.v_pu.columns, scenario.nodes, scenario.slack)

    def _weight(self, name: str) -> tuple[float, float, float]:
        """Compensation, curtailment, distance of the node's voltage from the middle of the limits."""
        summary = self.record.summary
        scenario = summary.scenario
        v_pu: pd.Series = self.record.uncoordinated.v_pu[scenario.nodes[name]]
        distance = float(np.abs(v_pu - (scenario.v_min_pu + scenario.v_max_pu) / 2).max())
        return round(summary.cost_chf[name].compensation, 6), round(summary.curtailed_kwh[name], 6), distance


def node_looks(
    prosumers: Mapping[str, Look], homes: Mapping[str, str], slack: str, passive_nodes: Iterable[str]
) -> dict[str, Look]:
    """A node looks like its first prosumer of ``homes`` (prosumer → node); passive nodes are grey, the slack black."""
    result: dict[str, Look] = {}
    for name, node in homes.items():
        result.setdefault(node, prosumers[name])
    result[slack] = Look("black", DASHES[2])
    for k, node in enumerate(passive_nodes):
        result[node] = Look(QUIET, DASHES[k % len(DASHES)], 0.9)
    return result


def passive(nodes: Iterable[str], homes: Mapping[str, str], slack: str) -> list[str]:
    """Nodes besides the slack at which nobody is connected."""
    taken = {*homes.values(), slack}
    return [node for node in nodes if node not in taken]
