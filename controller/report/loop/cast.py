"""Who is drawn in the report of a closed loop: everybody, or in a large grid those who matter most."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from controller.report.cast import ALL_UP_TO, PASSIVE_UP_TO, REPRESENTATIVES, node_looks, passive
from controller.report.loop.record import LoopRecord
from controller.report.style import Look, looks


@dataclass(frozen=True)
class LoopCast:
    """The prosumers of a record, and their looks."""

    record: LoopRecord

    @cached_property
    def shown(self) -> list[str]:
        """Who has a line of their own, in the order of the configuration."""
        everybody = self.record.recording.prosumers
        if len(everybody) <= ALL_UP_TO:
            return everybody
        foremost = sorted(everybody, key=self._weight, reverse=True)[:REPRESENTATIVES]
        return [name for name in everybody if name in foremost]

    @cached_property
    def looks(self) -> dict[str, Look]:
        """The look of each of them."""
        return looks(self.shown)

    @cached_property
    def node_looks(self) -> dict[str, Look]:
        """The nodes that are drawn: those of prosumers shown, the slack, and passive ones unless they are many."""
        scenario, nodes = self.record.summary.scenario, self.record.recording.v_pu.columns
        homes = {name: scenario.nodes[name] for name in self.shown}
        idle = passive(nodes, scenario.nodes, scenario.slack)
        return node_looks(self.looks, homes, scenario.slack, idle if len(idle) <= PASSIVE_UP_TO else ())

    def _weight(self, name: str) -> tuple[float, float, float]:
        """Compensation, curtailment, distance of the node's voltage from the middle of the limits."""
        summary = self.record.summary
        scenario, account = summary.scenario, summary.settlement[name]
        v_pu = self.record.recording.v_pu[scenario.nodes[name]]
        distance = np.abs(v_pu - (scenario.v_min_pu + scenario.v_max_pu) / 2).max()
        return round(account.compensation_chf, 6), round(account.curtailed_kwh, 6), float(distance)
