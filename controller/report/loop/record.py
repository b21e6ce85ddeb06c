"""The data of the report of a closed loop: wide tables with a row per sample, on one time axis."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np
import pandas as pd

from controller.accounts.baseline import HINDSIGHT, HINDSIGHT_NODES, HINDSIGHT_SLACK
from controller.accounts.voltage_quality import ten_minute_means
from controller.report.day.files import (
    keys_with_other_names,
    plan_axis,
    read_iterations,
    read_plan,
    read_voltages,
    require_names,
)
from controller.report.loop.summary import LoopSummary, SampledSummary
from controller.report.loop.telemetry import ConverterSamples, converter_samples, cycle_times
from controller.report.primitives.drawing import Plan
from controller.report.primitives.participants import Participants, participants
from controller.report.primitives.summary import parse
from controller.runs.directory import Run
from controller.runs.recording import Recording, columns, wide_tables
from core.arrays import FloatArray
from core.time import TimeAxis

Samples = TypeVar("Samples", pd.Series, pd.DataFrame)
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
class OwnOptima:
    """The grid if every prosumer follows its own optimum in hindsight, in steps from the run's first to its last.

    Attributes:
        v_pu: [steps, nodes]; NaN where the power flow has no solution.
        slack: ``p_kw``, ``q_kvar`` drawn from the upper grid, [steps].
    """

    v_pu: pd.DataFrame
    slack: pd.DataFrame


@dataclass(frozen=True)
class SampledRecord:
    """What was sampled, of a simulated run or of a span of a service, as its figures show it.

    Attributes:
        axis: time axis of the run in minutes.
        recording: its ``plan`` is empty if there is no table of a plan.
        i_a: line currents, [samples, lines].
        slack: ``p_kw``, ``q_kvar`` drawn from the upper grid, [samples].
        cycle_ms: wall clock of each cycle, [samples]; None for a run without telemetry.
        participants: the prosumers and nodes that figures show.
        pv_available_kw: what PV could have generated, [steps, prosumers]; None where nobody knows.
    """

    summary: SampledSummary
    axis: TimeAxis
    recording: Recording
    i_a: pd.DataFrame
    slack: pd.DataFrame
    cycle_ms: pd.Series | None
    participants: Participants
    pv_available_kw: pd.DataFrame | None

    @property
    def means_pu(self) -> pd.DataFrame:
        """Ten-minute mean voltages, [intervals, nodes]."""
        return ten_minute_means(self.recording.v_pu)

    @property
    def judged_pu(self) -> pd.DataFrame:
        """Sampled voltages that are judged, [samples from ``judged_from`` on, nodes besides the slack]."""
        return self.judged(self.recording.v_pu).drop(columns=self.summary.scenario.slack)

    def judged(self, samples: Samples) -> Samples:
        """The part of a table or series that is judged."""
        return samples.loc[self.summary.judged_from :] if self.summary.judged_from else samples

    def hours(self, times: pd.Index | pd.Series) -> FloatArray:
        """Hours since the start."""
        since = pd.DatetimeIndex(times) - pd.Timestamp(self.axis.start)
        return np.asarray(since / pd.Timedelta(hours=1), np.float64)


@dataclass(frozen=True)
class LoopRecord(SampledRecord):
    """The data of the report of a simulated run; ``without`` is None in a run of an older version, ``converters`` are
    those of prosumers with several, None without any.
    """

    summary: LoopSummary
    day_ahead: InitialPlan
    without: OwnOptima | None
    converters: ConverterSamples | None


def read_loop(run: Run) -> LoopRecord:
    """Read and check the files of a run.

    Raises:
        InputError: a file is missing, or not in the format of this version.
    """
    summary, recording, folder = parse(LoopSummary, run.summary, run.path), Recording.read(run.path), run.path
    _check_names(run, summary, recording)
    available_kw = wide_tables(folder, HINDSIGHT, "prosumer", ("pv_available_kw",))["pv_available_kw"]
    moved = {name: (summary.cost_chf[name].compensation, summary.curtailed_kwh[name]) for name in summary.cost_chf}
    return LoopRecord(
        summary=summary,
        axis=minutes(recording.times[0].to_pydatetime(), summary),
        recording=recording,
        i_a=wide_tables(folder, "lines.csv", "line", ("i_a",))["i_a"],
        slack=columns(folder, "slack.csv", ("time", "p_kw", "q_kvar")).set_index("time"),
        cycle_ms=cycle_times(folder / summary.scenario.telemetry),
        participants=participants(summary.scenario, moved, recording.prosumers, recording.v_pu),
        pv_available_kw=available_kw.loc[: summary.end - INSTANT],
        day_ahead=_day_ahead(run, summary),
        without=_own_optima(run, summary) if (folder / HINDSIGHT_NODES).exists() else None,
        converters=_converters(run, summary, recording),
    )


def _converters(run: Run, summary: LoopSummary, recording: Recording) -> ConverterSamples | None:
    names = [name for team in summary.scenario.teams.values() for name in team]
    return converter_samples(run.path / summary.scenario.telemetry, names, recording.times) if names else None


def minutes(start: datetime, summary: SampledSummary) -> TimeAxis:
    """The axis from the first sample to the end, in minutes."""
    steps = -((start - summary.end) // timedelta(minutes=1))
    return TimeAxis(start, 1, steps, summary.scenario.timezone)


def _own_optima(run: Run, summary: LoopSummary) -> OwnOptima:
    v_pu = wide_tables(run.path, HINDSIGHT_NODES, "node", ("v_pu",))["v_pu"].loc[: summary.end - INSTANT]
    slack = columns(run.path, HINDSIGHT_SLACK, ("time", "p_kw", "q_kvar")).set_index("time")
    return OwnOptima(v_pu.where((v_pu > 0).all(axis=1)), slack.loc[: summary.end - INSTANT])


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
