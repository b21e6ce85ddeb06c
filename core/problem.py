"""The public problem: everything that a coordinator may know of a horizon. Private data of prosumers:
:mod:`core.scenario`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from core.arrays import FloatArray
from core.feeders import Feeder
from core.network import GridLimits, Network
from core.prices import Tariff
from core.time import TimeAxis


@dataclass(frozen=True)
class Problem:
    """Grid, limits and tariff over the T steps of ``axis``, and the nodes at which the N prosumers are connected.

    Attributes:
        slack_voltage_pu: supply voltage, [T].
        nodes: prosumer → node, in the order of every array [N, …]; several prosumers may share a node.
        margin_pu: narrows the voltage band on both sides: one number, or one per node besides the slack, in the order
            of ``network.nodes``.
        reactive_margin_kvar: narrows the limit of reactive power at the slack on both sides.
        feeders: the aggregators between operator and prosumers; none: the operator deals with every prosumer itself.
    """

    axis: TimeAxis
    network: Network
    limits: GridLimits
    slack_voltage_pu: FloatArray
    tariff: Tariff
    nodes: Mapping[str, str]
    margin_pu: float | FloatArray = 0.0
    reactive_margin_kvar: float = 0.0
    feeders: tuple[Feeder, ...] = ()

    def after(self, steps: int) -> "Problem":
        """The problem without its first ``steps`` steps."""
        return replace(
            self,
            axis=self.axis.after(steps),
            slack_voltage_pu=self.slack_voltage_pu[steps:],
            tariff=self.tariff.after(steps),
        )
