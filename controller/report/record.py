"""A run read back for drawing: wide tables (a row per step, a column per prosumer, node or line) on one time axis."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from math import inf

import pandas as pd

from controller.report.summary import Summary, parse_summary
from controller.run_directory import Run
from core.errors import Fault, InputError
from core.time import TimeAxis

PLAN = (
    "battery_kw", "battery_kvar", "p_kw", "pv_available_kw", "pv_kw", "price_chf_per_kwh", "q_kvar", "soc",
    "tariff_chf_per_kwh",
)  # fmt: skip
ITERATIONS = ("iteration", "primal", "dual", "rho", "gap_rel", "violation_pu", "linearisation_pu")
MAY_BE_EMPTY = ("soc", "gap_rel")
WORDS = ("time", "prosumer", "node", "line")


@dataclass(frozen=True)
class Day:
    """One day of a run.

    Attributes:
        plan: by quantity as named in plan.csv, [T, prosumers]; ``soc`` is empty without a battery.
        v_pu: [T, nodes]; like i_a and slack empty in steps in which the power flow has no solution.
        i_a: [T, lines].
        slack: ``p_kw``, ``q_kvar`` drawn from the upper grid, [T].
    """

    plan: dict[str, pd.DataFrame]
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


def read_record(run: Run) -> Record:
    """Read and check the files of a run.

    Raises:
        InputError: a file is missing, or is not what this version writes.
    """
    summary = parse_summary(run.summary, str(run.path))
    axis = _axis(run, summary)
    result = _day(run, "", axis)
    uncoordinated = _day(run, "uncoordinated_", axis) if summary.coordinated else result
    _check_names(run, summary, result)
    _check_names(run, summary, uncoordinated)
    return Record(
        summary=summary,
        axis=axis,
        uncoordinated=uncoordinated,
        coordinated=result if summary.coordinated else None,
        iterations=_columns(run, "iterations.csv", ITERATIONS),
    )


def _check_names(run: Run, summary: Summary, day: Day) -> None:
    """Raise InputError unless summary and tables speak of the same prosumers, nodes and lines."""
    scenario = summary.scenario
    prosumers = set(day.plan["p_kw"].columns)
    told: dict[str, Iterable[str]] = {
        "cost_chf": summary.cost_chf,
        "fee_chf": summary.fee_chf,
        "curtailed_kwh": summary.curtailed_kwh,
        "simultaneous_kw": summary.simultaneous_kw,
        "scenario.nodes": scenario.nodes,
    }
    wrong = [key for key, value in told.items() if set(value) != prosumers]
    if not {scenario.slack, *scenario.nodes.values()} <= set(day.v_pu.columns):
        wrong.append("scenario.nodes")
    if not set(scenario.line_i_max_a) <= set(day.i_a.columns):
        wrong.append("scenario.line_i_max_a")
    if wrong:
        allowed = "the names of plan.csv, nodes.csv and lines.csv"
        raise InputError([Fault(f"{run.path}/summary.json", key, "other names", allowed) for key in wrong])


def _axis(run: Run, summary: Summary) -> TimeAxis:
    scenario, times = summary.scenario, _columns(run, "plan.csv", ("time",))["time"]
    if times.empty:
        raise InputError([Fault(f"{run.path}/plan.csv", "", "no rows", "a plan")])
    return TimeAxis(times.min().to_pydatetime(), scenario.step_min, times.nunique(), scenario.timezone)


def _day(run: Run, prefix: str, axis: TimeAxis) -> Day:
    v_pu = _wide(run, f"{prefix}nodes.csv", "node", ("v_pu",), axis)["v_pu"]
    i_a = _wide(run, f"{prefix}lines.csv", "line", ("i_a",), axis)["i_a"]
    solved = (v_pu > 0).all(axis=1)
    return Day(
        plan=_wide(run, f"{prefix}plan.csv", "prosumer", PLAN, axis),
        v_pu=v_pu.where(solved),
        i_a=i_a.where(solved),
        slack=_slack(run, f"{prefix}slack.csv", solved),
    )


def _slack(run: Run, file: str, solved: pd.Series) -> pd.DataFrame:
    table = _columns(run, file, ("time", "p_kw", "q_kvar")).set_index("time")
    if list(table.index) != list(solved.index):
        raise InputError([Fault(f"{run.path}/{file}", "time", "other steps", "the steps of plan.csv")])
    return table.where(solved)


def _wide(run: Run, file: str, kind: str, quantities: tuple[str, ...], axis: TimeAxis) -> dict[str, pd.DataFrame]:
    """Each quantity as [T, names], names in the order of the file."""
    long = _columns(run, file, ("time", kind, *quantities))
    names, instants = list(dict.fromkeys(long[kind])), {t.astimezone(UTC) for t in axis.times}
    repeated = long.duplicated(["time", kind]).any()
    if repeated or len(long) != axis.n_steps * len(names) or set(long["time"]) != instants:
        allowed = f"each {kind} once in each of the {axis.n_steps} steps of plan.csv"
        raise InputError([Fault(f"{run.path}/{file}", "time", "missing or repeated rows", allowed)])
    return {quantity: long.pivot(index="time", columns=kind, values=quantity)[names] for quantity in quantities}


def _columns(run: Run, file: str, names: tuple[str, ...]) -> pd.DataFrame:
    """Some columns of a table, checked to be there, to be filled and, but for names and times, to be numbers."""
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
