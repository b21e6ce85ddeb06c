"""The tables of a plan: one frame per CSV file, with the columns of docs/interfaces.md."""

from dataclasses import asdict

import numpy as np
import pandas as pd

from core.arrays import FloatArray
from core.plan import AVAILABLE, BATTERY, LOAD, PV, SOC, Plan
from core.prices import Tariff
from core.time import TimeAxis
from mpc.coordination.star.outcome import Iteration
from mpc.coordination.tree.grid.regions import head_powers
from mpc.day_ahead import DayAhead, FeederDay
from mpc.price import average_price_chf_per_kwh, marginal_price_chf_per_kwh

PLAN_COLUMNS = {
    BATTERY: ("p_kw", "q_kvar", SOC),
    PV: ("p_kw", "q_kvar", AVAILABLE),
    LOAD: ("p_kw", "q_kvar"),
}
"""Quantities in plan.csv of a resource that is the only one of its kind; several share columns of sums."""


def times(axis: TimeAxis) -> list[str]:
    """Start of each step, ISO 8601 with zone."""
    return [t.isoformat() for t in axis.times]


def plan_frame(plan: Plan, tariff: Tariff) -> pd.DataFrame:
    """Plan, tariff and prices of every prosumer; ``soc`` is at the END of the step, empty without a battery."""
    frames, dt_h = [], plan.axis.dt_h
    for name, own in plan.prosumers.items():
        agreement = plan.agreements[name]
        frames.append(
            pd.DataFrame(
                {
                    "time": times(plan.axis),
                    "prosumer": name,
                    "p_kw": own.p_kw,
                    "q_kvar": own.q_kvar,
                    "battery_kw": own.battery_kw,
                    "battery_kvar": own.battery_kvar,
                    "pv_kw": own.pv_kw,
                    "pv_available_kw": own.pv_available_kw,
                    "load_kw": own.load_kw,
                    "load_kvar": own.load_kvar,
                    "soc": np.nan if own.soc is None else own.soc,
                    "tariff_chf_per_kwh": tariff.buy_chf_per_kwh,
                    "price_chf_per_kwh": marginal_price_chf_per_kwh(agreement.signal, agreement.profile.x, dt_h),
                    "average_price_chf_per_kwh": average_price_chf_per_kwh(agreement.signal, agreement.profile.x, dt_h),
                    "pv_kvar": own.pv_kvar,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def resources_frame(plan: Plan) -> pd.DataFrame:
    """Quantities of resources without a column in plan.csv, in long form; a quantity that is zero all day is left
    out.
    """
    frames = []
    for prosumer, own in plan.prosumers.items():
        for name, resource in own.resources.items():
            alone = len(own.of_kind(resource.kind)) == 1
            held = PLAN_COLUMNS.get(resource.kind, ()) if alone else ()
            for quantity, values in {"p_kw": resource.p_kw, "q_kvar": resource.q_kvar, **resource.series}.items():
                if quantity not in held and values.any():
                    rows = {"time": times(plan.axis), "prosumer": prosumer, "resource": name, "quantity": quantity}
                    frames.append(pd.DataFrame({**rows, "value": values}))
    columns = ["time", "prosumer", "resource", "quantity", "value"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def prices_frame(day: DayAhead) -> pd.DataFrame:
    """Coefficients of every price signal: H in CHF/kW², g in CHF/kW."""
    frames = [
        pd.DataFrame(
            {
                "time": times(day.problem.axis),
                "prosumer": name,
                "h_pp": agreement.signal.h[:, 0, 0],
                "h_pq": agreement.signal.h[:, 0, 1],
                "h_qq": agreement.signal.h[:, 1, 1],
                "g_p": agreement.signal.g[:, 0],
                "g_q": agreement.signal.g[:, 1],
            }
        )
        for name, agreement in day.plan.agreements.items()
    ]
    return pd.concat(frames, ignore_index=True)


def aggregators_frame(day: DayAhead) -> pd.DataFrame:
    """Power at the head of every aggregator (kW, kvar) with its limits, and its price beyond the tariff, if agreed."""
    problem = day.problem
    x = np.stack([agreement.profile.x for agreement in day.plan.agreements.values()])
    powers = head_powers(problem, x, day.flow)
    prices = day.outcome.prices if isinstance(day, FeederDay) else {}
    frames = []
    for feeder in problem.feeders:
        price = prices[feeder.name][:, 0] / problem.axis.dt_h if prices else np.nan
        columns = {
            "time": times(problem.axis),
            "aggregator": feeder.name,
            "p_kw": powers[feeder.name][:, 0],
            "q_kvar": powers[feeder.name][:, 1],
            "p_min_kw": np.nan if feeder.p_min_kw is None else feeder.p_min_kw,
            "p_max_kw": np.nan if feeder.p_max_kw is None else feeder.p_max_kw,
            "price_chf_per_kwh": price,
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def nodes_frame(day: DayAhead) -> pd.DataFrame:
    """Voltage magnitude (p.u.) of every node, the slack included."""
    v_pu = np.column_stack([day.problem.slack_voltage_pu, np.abs(day.flow.v)])
    return _long(day, "node", day.problem.network.nodes, "v_pu", v_pu)


def lines_frame(day: DayAhead) -> pd.DataFrame:
    """Current magnitude (A) at the from-end of every line."""
    names = tuple(line.name for line in day.problem.network.lines)
    return _long(day, "line", names, "i_a", np.abs(day.flow.i))


def slack_frame(day: DayAhead) -> pd.DataFrame:
    """Power drawn from the upper grid (kW, kvar)."""
    return pd.DataFrame(
        {"time": times(day.problem.axis), "p_kw": day.flow.s_slack.real, "q_kvar": day.flow.s_slack.imag}
    )


def iterations_frame(iterations: tuple[Iteration, ...]) -> pd.DataFrame:
    """One row per round; bound and gap are empty in rounds without a bound."""
    return pd.DataFrame([asdict(i) for i in iterations], columns=list(Iteration.__dataclass_fields__))


def _long(day: DayAhead, kind: str, names: tuple[str, ...], quantity: str, values: FloatArray) -> pd.DataFrame:
    """Values [T, K] as rows of (time, name, value)."""
    return pd.DataFrame(
        {
            "time": np.repeat(times(day.problem.axis), len(names)),
            kind: np.tile(names, len(values)),
            quantity: values.ravel(),
        }
    )
