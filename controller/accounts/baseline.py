"""The same day without coordination: every prosumer at its own optimum, and the grid that this makes.

The own optimum in hindsight (:mod:`controller.accounts.settlement`) knows load, irradiance and the supply voltage as
they came, in steps of the horizon. An AC power flow of all own optima gives voltages and power at the supply; each
sample of the run takes the value of its step, so that both days are counted over the same nodes and intervals. It is a
computation, not a second run: nobody's forecast errs, and no 30 s fluctuation is in it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from controller.accounts.settlement import OwnOptimum, Recorded
from controller.accounts.supply_quality import ReactiveQuality, reactive_quality
from controller.accounts.voltage_quality import VoltageQuality, voltage_quality
from controller.runs.directory import write_table
from controller.runs.tables import nodes_frame, plan_frame, slack_frame

HINDSIGHT = "hindsight_plan.csv"
"""Table of all prosumers' own optima for the series as they came, with the columns of plan.csv."""
HINDSIGHT_NODES, HINDSIGHT_SLACK = "hindsight_nodes.csv", "hindsight_slack.csv"
"""Voltages and power at the supply by power flow of these optima, with the columns of nodes.csv and slack.csv."""


@dataclass(frozen=True)
class Baseline:
    """The day without coordination, over the time of the run. Energies are kWh, by prosumer."""

    measured: VoltageQuality
    supply: ReactiveQuality
    curtailed_kwh: dict[str, float]


def write_hindsight(folder: Path, hindsight: OwnOptimum) -> None:
    """Write the tables of the own optima into a run folder."""
    write_table(folder / HINDSIGHT, plan_frame(hindsight.day.plan, hindsight.day.problem.tariff))
    write_table(folder / HINDSIGHT_NODES, nodes_frame(hindsight.day))
    write_table(folder / HINDSIGHT_SLACK, slack_frame(hindsight.day))


def baseline(hindsight: OwnOptimum, recorded: Recorded, measured_pu: pd.DataFrame) -> Baseline:
    """The day without coordination; counted where the run measured a voltage, [samples, nodes besides the slack]."""
    scenario, day, span = hindsight.scenario, hindsight.day, recorded.span
    axis, limits, judged = scenario.axis, scenario.limits, pd.DatetimeIndex(measured_pu.index)
    steps = span.step_of(axis)[span.times.isin(judged)]
    v_pu = pd.DataFrame(np.abs(day.flow.v)[steps], judged, list(scenario.network.nodes[1:]))
    v_pu = v_pu.where(measured_pu.notna())
    q_kvar = pd.Series(day.flow.s_slack.imag[steps], judged)
    hours = span.hours_in(axis)
    return Baseline(
        measured=voltage_quality(v_pu, limits.v_min_pu, limits.v_max_pu),
        supply=reactive_quality(q_kvar, limits.slack_q_max_kvar),
        curtailed_kwh={
            name: max(0.0, float((plan.pv_available_kw - plan.pv_kw) @ hours))
            for name, plan in day.plan.prosumers.items()
        },
    )
