"""Decomposition of a measured voltage: what the plan expected, and the deviations from it by cause.

With F the AC power flow, p* the targets in force, p the measured demand, v0 the measured supply voltage and v̂0 the one
that the plan was made with, a measured voltage is the sum of

    planned      |F(p*, v̂0)|
    supply       |F(p*, v0)| − |F(p*, v̂0)|        the supply voltage changed after the plan was made
    off target   |F(p, v0)| − |F(p*, v0)|          prosumers did not draw what the plan wants of them
    rest         |V| − |F(p, v0)|                  errors of model and meters

Tables are [samples, nodes besides the slack], indexed by time; unknown values are NaN. The target of a sample is the
one that was decided a cycle before.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.network import Network
from mpc.grid.power_flow import ComplexArray, PowerFlow

PREDICTED_BY = pd.Timedelta(minutes=10)
"""The MPC predicts the supply voltage by its mean over this time."""
LATE = 2
"""Cycles from the start of an MPC run to the first sample that shows its plan: one to adopt it, one to act."""


@dataclass(frozen=True)
class VoltageParts:
    """Measured voltages and their parts, p.u."""

    measured: pd.DataFrame
    planned: pd.DataFrame
    supply: pd.DataFrame
    off_target: pd.DataFrame

    @property
    def rest(self) -> pd.DataFrame:
        """The part that no other part explains."""
        return self.measured - self.planned - self.supply - self.off_target


@dataclass(frozen=True)
class Demand:
    """Complex demand P + jQ (kVA), [samples, prosumers]: the target decided at a sample, and the measured demand."""

    target: pd.DataFrame
    measured: pd.DataFrame


def voltage_parts(
    network: Network, v_pu: pd.DataFrame, predicted_pu: pd.Series, demand: Demand, nodes: Mapping[str, str]
) -> VoltageParts:
    """Decompose measured voltages.

    Args:
        v_pu: [samples, nodes], the slack included.
        predicted_pu: supply voltage that the plan in force expects at each sample, see :func:`predicted_supply`.
        nodes: prosumer → node.
    """
    others, flow = list(network.nodes[1:]), PowerFlow(network)
    measured = demand.measured
    target = demand.target.shift(1).where(lambda table: table.notna(), measured)  # without one, nothing is off target
    supply_pu = v_pu[network.slack]

    def modelled(drawn: pd.DataFrame, v0_pu: pd.Series) -> pd.DataFrame:
        solved = flow.solve(_injections(drawn, nodes, others), v0_pu.to_numpy(float))
        magnitudes = np.where(solved.solved[:, None], np.abs(solved.v), np.nan)
        return pd.DataFrame(magnitudes, index=v_pu.index, columns=others)

    planned, moved, real = modelled(target, predicted_pu), modelled(target, supply_pu), modelled(measured, supply_pu)
    return VoltageParts(v_pu[others], planned, moved - planned, real - moved)


def predicted_supply(supply_pu: pd.Series, forecast_pu: pd.Series, adopted: pd.DatetimeIndex) -> pd.Series:
    """The supply voltage (p.u.) that the plan in force expects at each sample.

    Args:
        supply_pu, forecast_pu: measured, and expected day-ahead, at each sample.
        adopted: start times of the MPC runs whose plans came into force, ascending.
    """
    if adopted.empty:
        return forecast_pu
    means = supply_pu.rolling(PREDICTED_BY).mean().reindex(adopted, method="ffill").to_numpy()
    began = np.searchsorted(adopted, supply_pu.index, side="right") - 1
    shown = np.concatenate([np.full(LATE, -1), began])[: len(began)]
    return forecast_pu.where(shown < 0, means[shown])


def _injections(drawn: pd.DataFrame, nodes: Mapping[str, str], others: list[str]) -> ComplexArray:
    """The negative of the demand at each node, [samples, nodes besides the slack]."""
    s = np.zeros((len(drawn), len(others)), complex)
    for name, node in nodes.items():
        if node in others:
            s[:, others.index(node)] -= drawn[name].to_numpy(complex)
    return s
