"""The files of a closed-loop run as wide tables with a row per sample, on one time axis."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from controller.accounts.closing import HINDSIGHT
from controller.accounts.voltage_quality import ten_minute_means
from controller.report.day.files import (
    keys_with_other_names,
    plan_axis,
    read_iterations,
    read_plan,
    read_voltages,
    require_names,
)
from controller.report.loop.summary import LoopSummary
from controller.report.loop.telemetry import cycle_times
from controller.report.primitives.drawing import Plan
from controller.report.primitives.participants import Participants, participants
from controller.report.primitives.summary import parse
from controller.runs.directory import Run
from controller.runs.recording import Recording, columns, wide_tables
from core.arrays import FloatArray
from core.time import TimeAxis

INSTANT = timedelta(microseconds=1)
ITERATIONS, PLANNED_NODES = "iterations.csv", "plan_nodes.csv"


@dataclass(frozen=True)
class InitialPlan:
    """The plan with which the run began.

    Attributes:
        axis: time axis of its day.
        v_pu: voltages that the plan expects, [T, nodes]; None if the run has no such table.
        iterations: rounds of its coordination; None if the run has no such table, or without coordination.
    """

    axis: TimeAxis
    plan: Plan
    v_pu: pd.DataFrame | None
    iterations: pd.DataFrame | None


@dataclass(frozen=True)
class LoopRecord:
    """The data of the report of a closed loop.

    Attributes:
        axis: time axis of the run in minutes.
        hindsight: realised series of the run, column of plan.csv → [steps, prosumers].
        i_a: line currents, [samples, lines].
        slack: ``p_kw``, ``q_kvar`` drawn from the upper grid, [samples].
        cycle_ms: wall clock of each cycle, [samples]; None for a run without telemetry.
    """

    summary: LoopSummary
    axis: TimeAxis
    recording: Recording
    day_ahead: InitialPlan
    hindsight: dict[str, pd.DataFrame]
    i_a: pd.DataFrame
    slack: pd.DataFrame
    cycle_ms: pd.Series | None

    @cached_property
    def participants(self) -> Participants:
        """The prosumers and nodes that figures show."""
        return participants(self.summary, self.recording.prosumers, self.recording.v_pu)

    @property
    def means_pu(self) -> pd.DataFrame:
        """Ten-minute mean voltages, [intervals, nodes]."""
        return ten_minute_means(self.recording.v_pu)

    @property
    def limited_pu(self) -> pd.DataFrame:
        """Sampled voltages of the nodes with limits, [samples, nodes besides the slack]."""
        return self.recording.v_pu.drop(columns=self.summary.scenario.slack)

    def hours(self, times: pd.Index | pd.Series) -> FloatArray:
        """Hours since the start."""
        since = pd.DatetimeIndex(times) - pd.Timestamp(self.axis.start)
        return np.asarray(since / pd.Timedelta(hours=1), np.float64)


def read_loop(run: Run) -> LoopRecord:
    """Read and check the files of a run.

    Raises:
        InputError: a file is missing, or not in the format of this version.
    """
    summary, recording, folder = parse(LoopSummary, run.summary, run.path), Recording.read(run.path), run.path
    _check_names(run, summary, recording)
    hindsight = wide_tables(folder, HINDSIGHT, "prosumer", ("pv_available_kw",))
    minutes = -((recording.times[0] - summary.end) // timedelta(minutes=1))
    axis = TimeAxis(recording.times[0].to_pydatetime(), 1, minutes, summary.scenario.timezone)
    return LoopRecord(
        summary=summary,
        axis=axis,
        recording=recording,
        day_ahead=_day_ahead(run, summary),
        hindsight={name: table.loc[: summary.end - INSTANT] for name, table in hindsight.items()},
        i_a=wide_tables(folder, "lines.csv", "line", ("i_a",))["i_a"],
        slack=columns(folder, "slack.csv", ("time", "p_kw", "q_kvar")).set_index("time"),
        cycle_ms=cycle_times(folder / summary.scenario.telemetry),
    )


def _day_ahead(run: Run, summary: LoopSummary) -> InitialPlan:
    axis = plan_axis(run, summary.scenario.step_min, summary.scenario.timezone)
    return InitialPlan(
        axis=axis,
        plan=read_plan(run, "plan.csv", axis),
        v_pu=read_voltages(run, PLANNED_NODES, axis) if (run.path / PLANNED_NODES).exists() else None,
        iterations=read_iterations(run) if (run.path / ITERATIONS).exists() else None,
    )


def _check_names(run: Run, summary: LoopSummary, recording: Recording) -> None:
    """Raise InputError unless summary and tables have the same prosumers and nodes."""
    scenario, prosumers = summary.scenario, set(recording.prosumers)
    listed: dict[str, Iterable[str]] = {
        "cost_chf": summary.cost_chf,
        "curtailed_kwh": summary.curtailed_kwh,
        "settlement": summary.settlement,
        "scenario.nodes": scenario.nodes,
    }
    wrong = keys_with_other_names(listed, prosumers)
    if not set(summary.energy_books) <= set(summary.soc) <= prosumers:
        wrong.append("soc")
    if not {scenario.slack, *scenario.nodes.values()} <= set(recording.v_pu.columns):
        wrong.append("scenario.nodes")
    require_names(run, wrong, "realtime.csv and nodes.csv")
