"""A radial grid with its loads, plants and storages as a configuration and a file of series.

Each node with anything behind it is one prosumer: the loads there are its load, the generators its PV, the storages its
battery.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from math import sqrt
from typing import Any

import numpy as np

from controller.grids.elements import STEPS, GridGenerator, GridLoad, GridSource, GridStorage
from controller.grids.radial import Names, RadialGrid
from core.arrays import FloatArray

TARIFF_PER_KWH, FEED_IN_PER_KWH = 0.3, 0.08
BAND_PU = (0.9, 1.1)
POWER_FACTOR = 0.9
"""Assumed where the source says nothing, and named in the notes."""
KINDS = {GridLoad: "a load", GridGenerator: "a generator", GridStorage: "a storage"}
WIDEST_PU = (0.5, 1.5)
"""Bounds of voltages beyond which they limit nothing."""
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


def grid_document(
    source: GridSource, grid: RadialGrid, powers: dict[str, NodePowers], day: date, series_file: str
) -> GridDocument:
    """The configuration of ``grid`` with a prosumer for each of ``powers``; assumptions are added to the notes of
    ``source``.
    """
    series: dict[str, FloatArray] = {}
    prosumers = [_prosumer(node, each, series, series_file) for node, each in powers.items()]
    config = {
        "schema_version": 1,
        "name": Names().new(source.name, "grid"),
        "horizon": {"date": day.isoformat(), "timezone": "Europe/Berlin", "step_min": STEP_MIN},
        "grid": _grid_section(grid),
        "limits": _band(source, grid) | _supply(source, grid, powers),
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


def powers_at_nodes(source: GridSource, grid: RadialGrid) -> dict[str, NodePowers]:
    """The powers of each node but the slack, in the order of its first load, generator or storage."""
    found: dict[str, NodePowers] = {}
    connected: list[GridLoad | GridGenerator | GridStorage] = [*source.loads, *source.generators, *source.storages]
    for each in connected:
        node = grid.node_of.get(each.bus)
        if node is None or node == grid.slack:
            where = "at the supply" if node else "at no node of the grid"
            source.notes.append(f"{each.name or f'{KINDS[type(each)]} without a name'}: {where}; left out")
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


def _band(source: GridSource, grid: RadialGrid) -> dict[str, float]:
    """The voltages that all buses allow; a bus with 0 or 2 p.u. has no limit."""
    buses = [bus for number, bus in source.buses.items() if grid.node_of.get(number, grid.slack) != grid.slack]
    lowest, highest = BAND_PU
    low = [v_pu for bus in buses if (v_pu := bus.v_min_pu) and v_pu >= WIDEST_PU[0]]
    high = [v_pu for bus in buses if (v_pu := bus.v_max_pu) and v_pu <= WIDEST_PU[1]]
    band = max(low, default=lowest), min(high, default=highest)
    if band[0] >= band[1]:
        source.notes.append(
            f"the bands of the buses have nothing in common, at least {band[0]:g} and at most {band[1]:g}"
        )
        band, low = BAND_PU, []
    if not low or not high:
        source.notes.append(f"assumed: voltages from {band[0]:g} to {band[1]:g} p.u.")
    return {"v_min_pu": band[0], "v_max_pu": band[1]}


def _supply(source: GridSource, grid: RadialGrid, powers: dict[str, NodePowers]) -> dict[str, float]:
    """The rating of the transformer at the supply, or what all loads or all plants together need."""
    s_max_kva = grid.supply_kva
    if not s_max_kva:
        p, q, pv = (
            sum(each) for each in zip(*((one.p_kw, one.q_kvar, one.pv_kw) for one in powers.values()), strict=True)
        )
        p_kw, q_kvar = max(float(np.abs(each).max()) for each in (p, p - pv)), float(np.abs(q).max())
        s_max_kva = HEADROOM * max(p_kw / POWER_FACTOR, q_kvar / sqrt(1 - POWER_FACTOR**2), 1.0)
        source.notes.append(f"assumed: a supply of {s_max_kva:.4g} kVA, as no transformer limits it")
    source.notes.append(f"assumed: a power factor of at least {POWER_FACTOR} at the supply")
    return {"slack_s_max_kva": s_max_kva, "slack_pf_min": POWER_FACTOR}


def series_lines(series: dict[str, FloatArray]) -> Iterator[str]:
    """The series as lines of CSV, times as HH:MM:SS."""
    yield ",".join(("time", *series))
    for t in range(STEPS):
        minutes = t * STEP_MIN
        values = (f"{values[t]:.12g}" for values in series.values())
        yield ",".join((f"{minutes // 60:02d}:{minutes % 60:02d}:00", *values))
