"""When the grid left its voltage limits, how far, and why, as events that a report can list."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from controller.accounts.voltage_parts import VoltageParts
from controller.accounts.voltage_quality import INTERVAL, beyond, ten_minute_means
from realtime.fallback import Rung
from realtime.reasons import Reason

DAY_AHEAD = "day_ahead"
"""State of the MPC before its first run."""
MOST = 0.5
"""A battery is named if it is saturated in more than this share of an interval's cycles."""
INSTANT = pd.Timedelta(1, "ns")


@dataclass(frozen=True)
class MeanParts:
    """The parts of a mean voltage (:mod:`controller.accounts.voltage_parts`), p.u.; None is unknown."""

    planned_pu: float | None
    supply_pu: float | None
    off_target_pu: float | None
    rest_pu: float | None


@dataclass(frozen=True)
class Event:
    """Consecutive ten-minute intervals in which the mean voltage of at least one node is outside the same limit.

    Attributes:
        begin, end: UTC; ``end`` is the end of the last interval.
        side: +1 above the upper limit, −1 below the lower one.
        nodes: the worst first; ``pairs`` counts nodes × intervals.
        at, mean_pu, beyond_pu: start of the interval with the worst mean, that mean, and its excess over the limit.
        parts: parts of that mean.
        mpc: status of the last MPC run before that interval; ``adopted``: whether its plan came into force.
        not_used: prosumers that held their setpoint or were safe in that interval.
        saturated: prosumers whose battery could not follow in most of its cycles.
    """

    begin: datetime
    end: datetime
    side: int
    nodes: tuple[str, ...]
    pairs: int
    at: datetime
    mean_pu: float
    beyond_pu: float
    parts: MeanParts
    mpc: str
    adopted: bool
    not_used: tuple[str, ...]
    saturated: tuple[str, ...]


@dataclass(frozen=True)
class Circumstances:
    """The state of the controller: ``rung`` and ``reasons`` are tables [samples, prosumers] of text; ``mpc`` is
    mpc.csv. The rung of a passive house is empty.
    """

    rung: pd.DataFrame
    reasons: pd.DataFrame
    mpc: pd.DataFrame


def events(parts: VoltageParts, v_min_pu: float, v_max_pu: float, circumstances: Circumstances) -> tuple[Event, ...]:
    """All events, in the order of their begins."""
    means = ten_minute_means(parts.measured).asfreq(INTERVAL)
    excess, middle_pu = beyond(means, v_min_pu, v_max_pu), (v_min_pu + v_max_pu) / 2
    all_events = []
    for side in (1, -1):
        outside = excess.where((means - middle_pu) * side > 0).clip(lower=0.0).fillna(0.0)
        stretches = _stretches(outside.any(axis=1))
        all_events += [_event(parts, outside.loc[first:last], side, circumstances) for first, last in stretches]
    return tuple(sorted(all_events, key=lambda event: event.begin))


def _event(parts: VoltageParts, outside: pd.DataFrame, side: int, circumstances: Circumstances) -> Event:
    excess, begins, names = outside.to_numpy(float), pd.DatetimeIndex(outside.index), [str(name) for name in outside]
    row, column = divmod(int(excess.argmax()), len(names))
    at, node = begins[row], names[column]
    cycles = slice(at, at + pd.Timedelta(INTERVAL) - INSTANT)
    worst_first = [names[k] for k in np.argsort(-excess.max(axis=0), kind="stable") if excess[:, k].max() > 0]
    rung, reasons = circumstances.rung.loc[cycles], circumstances.reasons.loc[cycles]
    runs = circumstances.mpc[circumstances.mpc["time"] <= at]
    return Event(
        begin=begins[0].to_pydatetime(),
        end=(begins[-1] + pd.Timedelta(INTERVAL)).to_pydatetime(),
        side=side,
        nodes=tuple(worst_first),
        pairs=int((excess > 0).sum()),
        at=at.to_pydatetime(),
        mean_pu=float(parts.measured[node].loc[cycles].mean()),
        beyond_pu=float(excess[row, column]),
        parts=_means(parts, node, cycles),
        mpc=str(runs["status"].iloc[-1]) if len(runs) else DAY_AHEAD,
        adopted=bool(runs["adopted"].iloc[-1]) if len(runs) else True,
        not_used=tuple(str(name) for name in rung if not rung[name].isin(("", Rung.USE)).all()),
        saturated=tuple(str(name) for name in reasons if _share(reasons[name], Reason.BATTERY_SATURATED) > MOST),
    )


def _stretches(outside: pd.Series) -> Iterator[tuple[pd.Timestamp, pd.Timestamp]]:
    """First and last time of every run of consecutive True values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], outside.to_numpy(), [False]]).astype(int)))
    for first, after in edges.reshape(-1, 2):
        yield outside.index[first], outside.index[after - 1]


def _share(reasons: pd.Series, reason: str) -> float:
    return float(reasons.str.contains(reason, regex=False).mean())


def _means(parts: VoltageParts, node: str, cycles: slice) -> MeanParts:
    means = (table[node].loc[cycles].mean() for table in (parts.planned, parts.supply, parts.off_target, parts.rest))
    return MeanParts(*(None if np.isnan(mean) else float(mean) for mean in means))
