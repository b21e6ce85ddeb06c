"""A radial grid with its loads, plants and storages as a configuration and a file of series.

Each node with anything behind it is one prosumer: the loads there are its load, the generators its PV, the storages its
battery.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from controller.grids.elements import STEPS, GridGenerator, GridLoad, GridSource, GridStorage
from controller.grids.radial import Names, RadialGrid
from core.arrays import FloatArray

TARIFF_PER_KWH, FEED_IN_PER_KWH = 0.3, 0.08
BAND_PU = (0.9, 1.1)
POWER_FACTOR = 0.9
"""Assumed where the source says nothing, and named in the notes."""
HEADROOM = 1.5
"""Limit of the supply over its largest power, where no transformer gives one."""
STEP_MIN = 15


@dataclass(frozen=True)
class NodePowers:
    """What is connected to a node: demand (kW, kvar) and generation (kW), [STEPS], and the storages."""

    p_kw: FloatArray
    q_kvar: FloatArray
    pv_kw: FloatArray
    storages: tuple[GridStorage, ...]


@dataclass(frozen=True)
class GridDocument:
    """A configuration and its series: columns of :data:`STEPS` values."""

    config: dict[str, Any]
    series: dict[str, FloatArray]


def grid_document(source: GridSource, grid: RadialGrid, day: date, series_file: str) -> GridDocument:
    """The configuration of ``grid``; assumptions are added to the notes of ``source``."""
    series: dict[str, FloatArray] = {}
    prosumers = []
    for node, powers in _at_nodes(source, grid).items():
        prosumers.append(_prosumer(node, powers, series, series_file))
    config = {
        "schema_version": 1,
        "name": Names().new(source.name, "grid"),
        "horizon": {"date": day.isoformat(), "timezone": "Europe/Berlin", "step_min": STEP_MIN},
        "grid": _grid_section(grid),
        "limits": _limits(source, grid, series),
        "currency": "EUR",
        "tariff": {"constant": TARIFF_PER_KWH, "feed_in": FEED_IN_PER_KWH},
        "prosumers": prosumers,
    }
    prices = f"{TARIFF_PER_KWH} EUR/kWh, {FEED_IN_PER_KWH} for feed-in"
    source.notes.append(f"assumed: {prices}, date {day}, time zone Europe/Berlin")
    return GridDocument(config, series)


def _grid_section(grid: RadialGrid) -> dict[str, Any]:
    section: dict[str, Any] = {
        "voltage_v": 1e3 * grid.base_kv,
        "slack": grid.slack,
        "slack_voltage_pu": grid.slack_voltage_pu,
        "lines": grid.lines,
    }
    shunts = [
        {"node": node, "g_us": float(y_us.real), "b_us": float(y_us.imag)} for node, y_us in grid.shunts.items() if y_us
    ]
    return {**section, "shunts": shunts} if shunts else section


def _at_nodes(source: GridSource, grid: RadialGrid) -> dict[str, NodePowers]:
    """The powers of each node but the slack, in the order of its first load, generator or storage."""
    found: dict[str, NodePowers] = {}
    connected: list[GridLoad | GridGenerator | GridStorage] = [*source.loads, *source.generators, *source.storages]
    for each in connected:
        node = grid.node_of.get(each.bus)
        if node is None or node == grid.slack:
            where = "at the supply" if node else "at no node of the grid"
            source.notes.append(f"{each.name or 'a load'}: {where}; left out")
            continue
        found[node] = _with(found.get(node), each)
    return found


def _with(powers: NodePowers | None, each: GridLoad | GridGenerator | GridStorage) -> NodePowers:
    """The powers of a node with one more; negative demand is generation, and the other way round."""
    zero = np.zeros(STEPS)
    before = powers or NodePowers(zero, zero, zero, ())
    if isinstance(each, GridStorage):
        return NodePowers(before.p_kw, before.q_kvar, before.pv_kw, (*before.storages, each))
    sign = 1.0 if isinstance(each, GridLoad) else -1.0
    p_kw = sign * each.p_kw
    return NodePowers(
        before.p_kw + np.maximum(p_kw, 0), before.q_kvar + sign * each.q_kvar, before.pv_kw - np.minimum(p_kw, 0),
        before.storages,
    )  # fmt: skip


def _prosumer(node: str, powers: NodePowers, series: dict[str, FloatArray], file: str) -> dict[str, Any]:
    """The section of a prosumer; its columns are added to ``series``."""
    columns = {"p": f"{node}_p", "q": f"{node}_q"}
    series[columns["p"]], series[columns["q"]] = powers.p_kw, powers.q_kvar
    section: dict[str, Any] = {"name": node, "node": node, "load": {"forecast": {"file": file, **columns}}}
    if peak_kw := float(powers.pv_kw.max()):
        column = f"{node}_pv"
        series[column] = powers.pv_kw / peak_kw
        section["pv"] = {"peak_kw": peak_kw, "forecast": {"file": file, "column": column}}
    if powers.storages:
        section["battery"] = _battery(powers.storages)
    return section


def _battery(storages: tuple[GridStorage, ...]) -> dict[str, Any]:
    """All storages of a node as one battery."""
    energy_kwh = sum(each.energy_kwh for each in storages)
    soc, soc_min = (sum(each.energy_kwh * share for each, share in zip(storages, shares, strict=True)) / energy_kwh
                    for shares in ([each.soc for each in storages], [each.soc_min for each in storages]))  # fmt: skip
    return {
        "s_max_kva": sum(each.s_kva for each in storages),
        "energy_kwh": energy_kwh,
        "soc_initial": min(max(soc, soc_min), 1.0),
        "soc_min": soc_min,
        "soc_max": 1.0,
        "efficiency": min(each.efficiency for each in storages),
    }


def _limits(source: GridSource, grid: RadialGrid, series: dict[str, FloatArray]) -> dict[str, Any]:
    """The band of the buses, and the rating of the transformer at the supply or the largest power."""
    buses = [bus for number, bus in source.buses.items() if grid.node_of.get(number, grid.slack) != grid.slack]
    low = [bus.v_min_pu for bus in buses if bus.v_min_pu]
    high = [bus.v_max_pu for bus in buses if bus.v_max_pu]
    if not low or not high:
        source.notes.append(f"assumed: voltages from {BAND_PU[0]} to {BAND_PU[1]} p.u.")
    s_max_kva = grid.supply_kva
    if not s_max_kva:
        s_max_kva = HEADROOM * max(_largest(series, "_p"), _largest(series, "_q"), 1.0) / POWER_FACTOR
        source.notes.append(f"assumed: a supply of {s_max_kva:.4g} kVA, as no transformer limits it")
    source.notes.append(f"assumed: a power factor of at least {POWER_FACTOR} at the supply")
    return {
        "v_min_pu": max(low, default=BAND_PU[0]),
        "v_max_pu": min(high, default=BAND_PU[1]),
        "slack_s_max_kva": s_max_kva,
        "slack_pf_min": POWER_FACTOR,
    }


def _largest(series: dict[str, FloatArray], ending: str) -> float:
    total = sum((values for name, values in series.items() if name.endswith(ending)), np.zeros(STEPS))
    return float(np.abs(total).max())


def series_lines(series: dict[str, FloatArray]) -> Iterator[str]:
    """The series as lines of CSV, times as HH:MM:SS."""
    yield ",".join(("time", *series))
    for t in range(STEPS):
        minutes = t * STEP_MIN
        values = (f"{values[t]:.12g}" for values in series.values())
        yield ",".join((f"{minutes // 60:02d}:{minutes % 60:02d}:00", *values))
