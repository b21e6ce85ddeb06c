"""The files of a plan as wide tables (a row per step, a column per prosumer, node or line) on one time axis."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from controller.report.day.files import (
    keys_with_other_names,
    plan_axis,
    read_iterations,
    read_plan,
    read_voltages,
    require_names,
    wide_tables,
)  # fmt: skip
from controller.report.primitives.drawing import Drawing, Plan
from controller.report.primitives.files import columns
from controller.report.primitives.participants import Participants, participants
from controller.report.primitives.summary import Summary, parse
from controller.runs.directory import Run
from core.errors import Fault, InputError
from core.time import TimeAxis


@dataclass(frozen=True)
class DayRecord:
    """One day of a run, without or with coordination.

    Attributes:
        v_pu: [T, nodes]; like i_a and slack NaN in steps in which the power flow has no solution.
        i_a: [T, lines].
        slack: ``p_kw``, ``q_kvar`` drawn from the upper grid, [T].
        aggregators: ``p_kw`` and, of a coordinated day, ``price_chf_per_kwh``, each [T, aggregators]; None without.
    """

    plan: Plan
    v_pu: pd.DataFrame
    i_a: pd.DataFrame
    slack: pd.DataFrame
    aggregators: dict[str, pd.DataFrame] | None


@dataclass(frozen=True)
class Record:
    """The data of the report of a plan. ``coordinated`` is None without coordination."""

    summary: Summary
    axis: TimeAxis
    uncoordinated: DayRecord
    coordinated: DayRecord | None
    iterations: pd.DataFrame

    @property
    def result(self) -> DayRecord:
        """The resulting day: the coordinated one if there is one."""
        return self.coordinated or self.uncoordinated

    @cached_property
    def participants(self) -> Participants:
        """The prosumers and nodes that figures show."""
        summary, day = self.summary, self.uncoordinated
        moved = {name: (cost.compensation, summary.curtailed_kwh[name]) for name, cost in summary.cost_chf.items()}
        return participants(summary.scenario, moved, list(day.plan["p_kw"].columns), day.v_pu)

    @property
    def drawing(self) -> Drawing:
        """Both days on one scale."""
        days = (self.uncoordinated, self.result)
        return Drawing(self.participants, self.axis, tuple(day.plan for day in days), tuple(day.v_pu for day in days))


def read_record(run: Run) -> Record:
    """Read and check the files of a run.

    Raises:
        InputError: a file is missing, or not in the format of this version.
    """
    summary = parse(Summary, run.summary, run.path)
    axis = plan_axis(run, summary.scenario.step_min, summary.scenario.timezone)
    result = _day(run, summary, "", axis)
    uncoordinated = _day(run, summary, "uncoordinated_", axis) if summary.coordinated else result
    _check_names(run, summary, result)
    _check_names(run, summary, uncoordinated)
    return Record(
        summary=summary,
        axis=axis,
        uncoordinated=uncoordinated,
        coordinated=result if summary.coordinated else None,
        iterations=read_iterations(run),
    )


def _check_names(run: Run, summary: Summary, day: DayRecord) -> None:
    """Raise InputError unless summary and tables have the same prosumers, nodes and lines."""
    scenario = summary.scenario
    listed: dict[str, Iterable[str]] = {
        "cost_chf": summary.cost_chf,
        "fee_chf": summary.fee_chf,
        "curtailed_kwh": summary.curtailed_kwh,
        "simultaneous_kw": summary.simultaneous_kw,
        "scenario.nodes": scenario.nodes,
    }
    wrong = keys_with_other_names(listed, set(day.plan["p_kw"].columns))
    if not {scenario.slack, *scenario.nodes.values()} <= set(day.v_pu.columns):
        wrong.append("scenario.nodes")
    if not set(scenario.line_i_max_a) <= set(day.i_a.columns):
        wrong.append("scenario.line_i_max_a")
    require_names(run, wrong, "plan.csv, nodes.csv and lines.csv")


def _day(run: Run, summary: Summary, prefix: str, axis: TimeAxis) -> DayRecord:
    v_pu = read_voltages(run, f"{prefix}nodes.csv", axis)
    i_a = wide_tables(run, f"{prefix}lines.csv", "line", ("i_a",), axis)["i_a"]
    solved = v_pu.notna().all(axis=1)
    return DayRecord(
        plan=read_plan(run, f"{prefix}plan.csv", axis),
        v_pu=v_pu,
        i_a=i_a.where(solved),
        slack=_slack(run, f"{prefix}slack.csv", solved),
        aggregators=_aggregators(run, summary, prefix, axis),
    )


def _aggregators(run: Run, summary: Summary, prefix: str, axis: TimeAxis) -> dict[str, pd.DataFrame] | None:
    if not summary.scenario.aggregators:
        return None
    priced = ("price_chf_per_kwh",) if summary.coordinated and not prefix else ()
    found = wide_tables(run, f"{prefix}aggregators.csv", "aggregator", ("p_kw", *priced), axis)
    if set(found["p_kw"].columns) != set(summary.scenario.aggregators):
        require_names(run, ["scenario.aggregators"], "aggregators.csv")
    return found


def _slack(run: Run, file: str, solved: pd.Series) -> pd.DataFrame:
    table = columns(run, file, ("time", "p_kw", "q_kvar")).set_index("time")
    if list(table.index) != list(solved.index):
        raise InputError([Fault(f"{run.path}/{file}", "time", "other steps", "the steps of plan.csv")])
    return table.where(solved)
