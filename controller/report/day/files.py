"""The files of a planned day as wide tables (a row per step, a column per prosumer, node or line) on one time axis."""

from collections.abc import Iterable, Mapping
from datetime import UTC

import pandas as pd

from controller.report.primitives.drawing import Plan
from controller.report.primitives.files import columns
from controller.runs.directory import Run
from core.errors import Fault, InputError
from core.time import TimeAxis

PLAN = (
    "battery_kw", "battery_kvar", "load_kvar", "p_kw", "pv_available_kw", "pv_kw", "price_chf_per_kwh", "q_kvar", "soc",
    "tariff_chf_per_kwh",
)  # fmt: skip
ITERATIONS = ("iteration", "primal", "dual", "rho", "gap_rel", "violation_pu", "linearisation_pu")


def plan_axis(run: Run, step_min: int, timezone: str) -> TimeAxis:
    """Time axis of plan.csv.

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
    """Raise InputError if there are ``wrong`` keys of summary.json, whose names differ from those in ``tables``."""
    file, allowed = f"{run.path}/summary.json", f"the names of {tables}"
    if faults := [Fault(file, key, "other names", allowed) for key in wrong]:
        raise InputError(faults)


def keys_with_other_names(listed: Mapping[str, Iterable[str]], prosumers: set[str]) -> list[str]:
    """The keys whose names are not exactly these prosumers."""
    return [key for key, names in listed.items() if set(names) != prosumers]


def read_plan(run: Run, file: str, axis: TimeAxis) -> Plan:
    """The plans of all prosumers; ``inverter_kvar`` is the reactive power that batteries and PV plants supply together.

    Raises:
        InputError: the file is missing, or has other steps than ``axis``.
    """
    plan = wide_tables(run, file, "prosumer", PLAN, axis)
    return {**plan, "inverter_kvar": plan["load_kvar"] - plan["q_kvar"]}


def read_voltages(run: Run, file: str, axis: TimeAxis) -> pd.DataFrame:
    """The voltages of all nodes; NaN in steps in which the power flow has no solution. Raises like
    :func:`read_plan`.
    """
    v_pu = wide_tables(run, file, "node", ("v_pu",), axis)["v_pu"]
    return v_pu.where((v_pu > 0).all(axis=1))


def wide_tables(run: Run, file: str, kind: str, quantities: tuple[str, ...], axis: TimeAxis) -> dict[str, pd.DataFrame]:
    """Each quantity as [T, names], names in the order of the file.

    Raises:
        InputError: the file is missing, or does not have each name once per step of ``axis``.
    """
    long = columns(run, file, ("time", kind, *quantities))
    names, instants = list(dict.fromkeys(long[kind])), {t.astimezone(UTC) for t in axis.times}
    repeated = long.duplicated(["time", kind]).any()
    if repeated or len(long) != axis.n_steps * len(names) or set(long["time"]) != instants:
        allowed = f"each {kind} once in each of the {axis.n_steps} steps of plan.csv"
        raise InputError([Fault(f"{run.path}/{file}", "time", "missing or repeated rows", allowed)])
    return {quantity: long.pivot(index="time", columns=kind, values=quantity)[names] for quantity in quantities}
