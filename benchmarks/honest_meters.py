"""Undisturbed days with honest meters, each with the supply voltage of another date and noise of its own.

Nobody may be doubted, and nothing may be raised but alarms of the grid itself.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import pandas as pd
from rich.console import Console

import gridlab
from benchmarks.cases import ROOT
from benchmarks.endurance import GRID_ALARMS, START_S
from benchmarks.tables import ResultTable, Targets
from realtime.meter_doubt import MeterDoubtKind

SUPPLY = ROOT / "configs" / "profiles" / "household_1min.csv"
COLUMN = "v_v"
DATES = ("2008-06-02", "2008-06-03", "2008-06-04", "2008-06-06", "2008-06-09", "2008-06-10", "2008-06-11")
"""All that are not the default scenario's."""
LARGEST_PU = 0.01
"""Largest deviation of the supply from its mean of the day, as in the default scenario."""
DOUBTS = frozenset(MeterDoubtKind)


def honest_meters(path: Path, console: Console) -> Iterator[ResultTable]:
    """Simulate the days of the configuration; who was doubted, and what else was raised."""
    config, doubted, others = gridlab.load(path), 0, 0
    table = ResultTable("Days with honest meters", ("supply voltage of", "doubted", "other alarms", "of the grid"))
    for seed, date in enumerate(DATES, 1):
        console.print(f"{date} …")
        day = config.with_(grid={"slack_voltage_pu": {"realised": supply(date)}})
        found = _raised(gridlab.simulate(day, seed=seed).tables["telemetry.alarm"])
        doubts, of_grid = _only(found, DOUBTS), _only(found, GRID_ALARMS)
        rest = _only(found, found.keys() - DOUBTS - GRID_ALARMS)
        doubted, others = doubted + doubts.total(), others + rest.total()
        table.add(date, *map(_listed, (doubts, rest, of_grid)))
    yield table
    targets = Targets()
    targets.check(f"meters doubted in {len(DATES)} days: 0", str(doubted), not doubted)
    targets.check("alarms besides the grid's: 0", str(others), not others)
    yield targets


def supply(date: str) -> Mapping[str, object]:
    """The supply voltage of a date of the file, around 1 p.u."""
    volts = pd.read_csv(SUPPLY, index_col="time")[COLUMN].filter(like=date, axis=0)
    mean = float(volts.mean())
    scale = LARGEST_PU / float((volts - mean).abs().max())
    return {"file": str(SUPPLY), "column": COLUMN, "date": date, "scale": scale, "offset": 1 - scale * mean}


def _raised(alarms: pd.DataFrame) -> Counter[str]:
    """How often each kind of alarm was raised after ``START_S``: until then prosumers are safe for want of readings."""
    started = alarms["time"].min().normalize() + pd.Timedelta(seconds=START_S)
    before = alarms.groupby("alarm")["standing"].shift(fill_value=0.0)
    raised = alarms[(alarms["standing"] > 0) & (before == 0) & (alarms["time"] > started)]
    return Counter(raised["alarm"].str.rpartition(" ")[2])


def _only(raised: Counter[str], kinds: Set[str]) -> Counter[str]:
    return Counter({kind: n for kind, n in raised.items() if kind in kinds})


def _listed(raised: Counter[str]) -> str:
    return ", ".join(f"{kind} {n}" for kind, n in raised.items()) or "none"
