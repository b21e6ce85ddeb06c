"""A run read back for drawing: wide tables (a row per step, a column per prosumer, node or line) on one time axis."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import cached_property
from math import inf

import pandas as pd

from controller.report.primitives.drawing import Drawing, Plan
from controller.report.primitives.participants import Participants, participants
from controller.report.primitives.summary import Summary, parse
from controller.runs.directory import Run
from core.errors import Fault, InputError
from core.time import TimeAxis

PLAN = (
    "battery_kw", "battery_kvar", "p_kw", "pv_available_kw", "pv_kw", "price_chf_per_kwh", "q_kvar", "soc",
    "tariff_chf_per_kwh",
)  # fmt: skip
ITERATIONS = ("iteration", "primal", "dual", "rho", "gap_rel", "violation_pu", "linearisation_pu")
MAY_BE_EMPTY = ("soc", "gap_rel")
WORDS = ("time", "prosumer", "node", "line", "splitting")


@dataclass(frozen=True)
class Day:
    """One day of a run.

    Attributes:
        v_pu: [T, nodes]; like i_a and slack empty in steps in which the power flow has no solution.
        i_a: [T, lines].
        slack: ``p_kw``, ``q_kvar`` drawn from the upper grid, [T].
    """

    plan: Plan
    v_pu: pd.DataFrame
    i_a: pd.DataFrame
    slack: pd.DataFrame


@dataclass(frozen=True)
class Record:
    """Everything that the report shows. ``coordinated`` is None when nobody coordinated."""

    summary: Summary
    axis: TimeAxis
    uncoordinated: Day
    coordinated: Day | None
    iterations: pd.DataFrame

    @property
    def result(self) -> Day:
        """The day that the run is about."""
        return self.coordinated or self.uncoordinated

    @cached_property
    def participants(self) -> Participants:
        """Who is drawn."""
        return participants(self.summary, list(self.uncoordinated.plan["p_kw"].columns), self.uncoordinated.v_pu)

    @property
    def drawing(self) -> Drawing:
        """Both days on one scale."""
        days = (self.uncoordinated, self.result)
        return Drawing(self.participants, self.axis, tuple(day.plan for day in days), tuple(day.v_pu for day in days))


def read_record(run: Run) -> Record:
    """Read and check the files of a run.

    Raises:
        InputError: a file is missing, or is not what this version writes.
    """
    summary = parse(Summary, run.summary, run.path)
    axis = plan_axis(run, summary.scenario.step_min, summary.scenario.timezone)
    result = _day(run, "", axis)
    uncoordinated = _day(run, "uncoordinated_", axis) if summary.coordinated else result
    _check_names(run, summary, result)
    _check_names(run, summary, uncoordinated)
    return Record(
        summary=summary,
        axis=axis,
        uncoordinated=uncoordinated,
        coordinated=result if summary.coordinated else None,
        iterations=read_iterations(run),
    )


def plan_axis(run: Run, step_min: int, timezone: str) -> TimeAxis:
    """The day of plan.csv.

    Raises:
        InputError: there is no plan.
    """
    times = columns(run, "plan.csv", ("time",))["time"]
    if times.empty:
        raise InputError([Fault(f"{run.path}/plan.csv", "", "no rows", "a plan")])
    return TimeAxis(times.min().to_pydatetime(), step_min, times.nunique(), timezone)


def read_iterations(run: Run) -> pd.DataFrame:
    """The rounds of the day-ahead coordination."""
    return columns(run, "iterations.csv", ITERATIONS)


def require_names(run: Run, wrong: Iterable[str], tables: str) -> None:
    """Raise InputError if there are keys of summary.json that are ``wrong``: not named as in ``tables``."""
    file, allowed = f"{run.path}/summary.json", f"the names of {tables}"
    if faults := [Fault(file, key, "other names", allowed) for key in wrong]:
        raise InputError(faults)


def differing(listed: Mapping[str, Iterable[str]], prosumers: set[str]) -> list[str]:
    """The keys that are not about exactly these prosumers."""
    return [key for key, names in listed.items() if set(names) != prosumers]


def _check_names(run: Run, summary: Summary, day: Day) -> None:
    """Raise InputError unless summary and tables speak of the same prosumers, nodes and lines."""
    scenario = summary.scenario
    listed: dict[str, Iterable[str]] = {
        "cost_chf": summary.cost_chf,
        "fee_chf": summary.fee_chf,
        "curtailed_kwh": summary.curtailed_kwh,
        "simultaneous_kw": summary.simultaneous_kw,
        "scenario.nodes": scenario.nodes,
    }
    wrong = differing(listed, set(day.plan["p_kw"].columns))
    if not {scenario.slack, *scenario.nodes.values()} <= set(day.v_pu.columns):
        wrong.append("scenario.nodes")
    if not set(scenario.line_i_max_a) <= set(day.i_a.columns):
        wrong.append("scenario.line_i_max_a")
    require_names(run, wrong, "plan.csv, nodes.csv and lines.csv")


def _day(run: Run, prefix: str, axis: TimeAxis) -> Day:
    v_pu = read_voltages(run, f"{prefix}nodes.csv", axis)
    i_a = _wide(run, f"{prefix}lines.csv", "line", ("i_a",), axis)["i_a"]
    solved = v_pu.notna().all(axis=1)
    return Day(
        plan=read_plan(run, f"{prefix}plan.csv", axis),
        v_pu=v_pu,
        i_a=i_a.where(solved),
        slack=_slack(run, f"{prefix}slack.csv", solved),
    )


def read_plan(run: Run, file: str, axis: TimeAxis) -> Plan:
    """The plans of all prosumers.

    Raises:
        InputError: the file is missing, or has other steps than ``axis``.
    """
    return _wide(run, file, "prosumer", PLAN, axis)


def read_voltages(run: Run, file: str, axis: TimeAxis) -> pd.DataFrame:
    """As :func:`read_plan`, the voltages of all nodes; empty in steps in which the power flow has no solution."""
    v_pu = _wide(run, file, "node", ("v_pu",), axis)["v_pu"]
    return v_pu.where((v_pu > 0).all(axis=1))


def _slack(run: Run, file: str, solved: pd.Series) -> pd.DataFrame:
    table = columns(run, file, ("time", "p_kw", "q_kvar")).set_index("time")
    if list(table.index) != list(solved.index):
        raise InputError([Fault(f"{run.path}/{file}", "time", "other steps", "the steps of plan.csv")])
    return table.where(solved)


def _wide(run: Run, file: str, kind: str, quantities: tuple[str, ...], axis: TimeAxis) -> dict[str, pd.DataFrame]:
    """Each quantity as [T, names], names in the order of the file."""
    long = columns(run, file, ("time", kind, *quantities))
    names, instants = list(dict.fromkeys(long[kind])), {t.astimezone(UTC) for t in axis.times}
    repeated = long.duplicated(["time", kind]).any()
    if repeated or len(long) != axis.n_steps * len(names) or set(long["time"]) != instants:
        allowed = f"each {kind} once in each of the {axis.n_steps} steps of plan.csv"
        raise InputError([Fault(f"{run.path}/{file}", "time", "missing or repeated rows", allowed)])
    return {quantity: long.pivot(index="time", columns=kind, values=quantity)[names] for quantity in quantities}


def columns(run: Run, file: str, names: tuple[str, ...]) -> pd.DataFrame:
    """Some columns of a table, checked to be there, to be filled and, but for names and times, to be numbers.

    Raises:
        InputError: they are not.
    """
    table, path = run.table(file), f"{run.path}/{file}"
    if missing := [name for name in names if name not in table]:
        raise InputError([Fault(path, name, "no such column", "a table as gridlab writes it") for name in missing])
    table = table[list(names)]
    numbers = [name for name in names if name not in WORDS]
    if words := [name for name in numbers if len(table) and not pd.api.types.is_numeric_dtype(table[name])]:
        raise InputError([Fault(path, name, "text", "numbers") for name in words])
    holes = [name for name in names if name not in MAY_BE_EMPTY and table[name].isna().any()]
    infinite = [name for name in numbers if table[name].isin([-inf, inf]).any()]
    if holes or infinite:
        raise InputError(
            [Fault(path, name, "an empty cell or infinity", "finite numbers") for name in holes + infinite]
        )
    return table
