"""Networks of pandapower, JSON files as :func:`pandapower.to_json` writes them."""

import warnings
from cmath import rect
from collections.abc import Iterator
from math import isnan, pi, radians, sqrt
from pathlib import Path
from typing import Any

from controller.grids.elements import (
    GridBus,
    GridCable,
    GridGenerator,
    GridLoad,
    GridSource,
    GridStorage,
    GridTransformer,
    constant,
)
from controller.grids.faults import one_per_kind
from controller.grids.pandapower_faults import network_faults
from core.errors import Fault, InputError

READ = {
    "bus", "line", "trafo", "switch", "ext_grid", "load", "asymmetric_load", "sgen", "asymmetric_sgen", "gen",
    "storage", "shunt",
}  # fmt: skip
NOT_GRID = {"measurement", "poly_cost", "pwl_cost", "group", "bus_geodata", "line_geodata", "loadcases"}
"""Tables without an influence on the power flow."""
SWITCH_RX = 2.0
"""Ratio of resistance and reactance of a switch with an impedance, as pandapower assumes it."""


def read_pandapower(path: Path) -> GridSource:
    """The network in a file.

    Raises:
        InputError: pandapower is not installed, or the file is no network of it.
    """
    net = _load(path)
    if faults := list(one_per_kind(network_faults(net, path))):
        raise InputError(faults)
    source = GridSource(str(net.get("name") or "") or path.stem)
    for k, row in _rows(net, "bus", in_service=False):
        source.buses[k] = GridBus(_name(row), row["vn_kv"], _given(row, "min_vm_pu"), _given(row, "max_vm_pu"))
    ends = _open_ends(net, source)
    live = net["bus"]["in_service"]
    for k, row in _rows(net, "line", in_service=False):
        dead = {end for end, key in enumerate(("from_bus", "to_bus")) if not live[row[key]]}
        open_ends = ends.get(("l", k), frozenset()) | dead if row["in_service"] else frozenset({0, 1})
        source.cables.append(_cable(row, net["f_hz"], open_ends))
    for k, row in _rows(net, "trafo"):
        is_open = ("t", k) in ends or not (live[row["hv_bus"]] and live[row["lv_bus"]])
        source.transformers.append(_transformer(row, is_open, source))
    supplies = [row for table in ("ext_grid", "gen") for _, row in _rows(net, table) if row.get("slack", True)]
    source.supplies += [(row["bus"], row["vm_pu"]) for row in supplies if live[row["bus"]]]
    _add_powers(net, source)
    _add_shunts(net, source)
    source.notes += _left_out(net)
    return source


def _load(path: Path) -> Any:
    """The network; warnings of the library about its own formats are not the user's."""
    try:
        import pandapower
    except ImportError as error:
        got = "a network of pandapower, which is not installed"
        raise InputError([Fault(str(path), "", got, "the extra grids: pip install 'gridlab[grids]'")]) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            net = pandapower.from_json(str(path))
        except Exception as error:  # whatever the library makes of a foreign file
            net = error
    if isinstance(net, Exception) or not isinstance(net, pandapower.pandapowerNet):
        got = "a file that is no network of pandapower"
        raise InputError([Fault(str(path), "", got, "JSON as pandapower.to_json writes it")])
    return net


def _rows(net: Any, table: str, in_service: bool = True) -> Iterator[tuple[int, dict[str, Any]]]:
    """Index and values of the rows; with ``in_service`` only of those in service."""
    for k, row in zip(net[table].index.tolist(), net[table].to_dict("records"), strict=True):
        if row.get("in_service", True) or not in_service:
            yield k, row


def _name(row: dict[str, Any]) -> str:
    name = row.get("name")
    return "" if name is None or (isinstance(name, float) and isnan(name)) else str(name)


def _given(row: dict[str, Any], key: str) -> float | None:
    """A number that the row has, None without."""
    value = row.get(key)
    try:
        number = float(value) if value is not None else float("nan")
    except (TypeError, ValueError):
        return None
    return None if isnan(number) else number


def _open_ends(net: Any, source: GridSource) -> dict[tuple[str, int], frozenset[int]]:
    """Ends of lines ("l") and transformers ("t") with an open switch; switches between buses go to ``source``."""
    ends: dict[tuple[str, int], frozenset[int]] = {}
    tables = {"l": (net["line"], "from_bus"), "t": (net["trafo"], "hv_bus")}
    for _, row in _rows(net, "switch"):
        kind, other = row["et"], row["element"]
        if kind == "b" and row["closed"] and net["bus"]["in_service"][[row["bus"], other]].all():
            if z_ohm := _given(row, "z_ohm"):
                r_ohm = z_ohm * SWITCH_RX / sqrt(1 + SWITCH_RX**2)
                z = complex(r_ohm, r_ohm / SWITCH_RX)
                source.cables.append(GridCable(_name(row) or "switch", (row["bus"], other), z))
            else:
                source.joints.append((row["bus"], other))
        elif kind in tables and not row["closed"]:
            table, first = tables[kind]
            end = frozenset({0 if table.at[other, first] == row["bus"] else 1})
            ends[kind, other] = ends.get((kind, other), frozenset()) | end
    return ends


def _cable(row: dict[str, Any], f_hz: float, open_ends: frozenset[int]) -> GridCable:
    km, parallel = row["length_km"], row["parallel"]
    b_us = 2 * pi * f_hz * row["c_nf_per_km"] * 1e-3 * km * parallel
    g_us = (_given(row, "g_us_per_km") or 0.0) * km * parallel
    i_max_ka = _given(row, "max_i_ka")
    return GridCable(
        name=_name(row),
        ends=(row["from_bus"], row["to_bus"]),
        z_ohm=complex(row["r_ohm_per_km"], row["x_ohm_per_km"]) * km / parallel,
        y_us=complex(g_us, b_us),
        i_max_a=None if not i_max_ka or i_max_ka >= 1e3 else 1e3 * i_max_ka * parallel * (_given(row, "df") or 1.0),
        open_ends=open_ends,
    )


def _transformer(row: dict[str, Any], is_open: bool, source: GridSource) -> GridTransformer:
    rated = row["vn_hv_kv"], row["vn_lv_kv"]
    tapped = _tapped(row, rated, source)
    leakage = _given(row, "leakage_resistance_ratio_hv"), _given(row, "leakage_reactance_ratio_hv")
    return GridTransformer(
        name=_name(row),
        ends=(row["hv_bus"], row["lv_bus"]),
        s_kva=1e3 * row["sn_mva"],
        rated_kv=rated,
        tapped_kv=tapped,
        vk_percent=row["vk_percent"],
        vkr_percent=row["vkr_percent"],
        no_load_kw=row["pfe_kw"],
        i0_percent=row["i0_percent"],
        parallel=row["parallel"],
        is_open=is_open,
        leakage_hv=(0.5 if leakage[0] is None else leakage[0], 0.5 if leakage[1] is None else leakage[1]),
    )


def _tapped(row: dict[str, Any], rated: tuple[float, float], source: GridSource) -> tuple[float, float]:
    """Rated voltages at the position of the tap changers; an angle changes nothing in a radial grid."""
    tapped = list(rated)
    for tap in ("tap", "tap2"):
        position, neutral = _given(row, f"{tap}_pos"), _given(row, f"{tap}_neutral") or 0.0
        if position is None or position == neutral:
            continue
        percent, kind = _given(row, f"{tap}_step_percent"), row.get(f"{tap}_changer_type")
        if kind in ("Ratio", "Symmetrical") and percent:
            angle = radians(_given(row, f"{tap}_step_degree") or 0.0)
            tapped[row[f"{tap}_side"] == "lv"] *= abs(1 + rect((position - neutral) * percent / 100, angle))
        elif kind != "Ideal":
            source.notes.append(
                f"transformer {_name(row)}: the position of its {tap} changer, of type {kind}, is left out"
            )
    return tapped[0], tapped[1]


def _add_powers(net: Any, source: GridSource) -> None:
    """Loads, generators and storages, constant over the day."""
    for _, row in _rows(net, "load"):
        p, q = (constant(1e3 * row[key] * row["scaling"]) for key in ("p_mw", "q_mvar"))
        source.loads.append(GridLoad(_name(row), row["bus"], p, q))
        if any(value for key in row if key.startswith("const_") and (value := _given(row, key))):
            source.notes.append(f"load {_name(row)}: depends on the voltage; carried over as constant power")
    for _, row in _rows(net, "sgen"):
        p, q = (constant(1e3 * row[key] * row["scaling"]) for key in ("p_mw", "q_mvar"))
        s_mva = _given(row, "sn_mva")
        source.generators.append(GridGenerator(_name(row), row["bus"], p, q, None if not s_mva else 1e3 * s_mva))
        kind = row.get("type")
        if kind not in (None, "PV", "pv", "wye", ""):
            source.notes.append(f"static generator {_name(row)} of type {kind}: carried over as PV")
    for _, row in _rows(net, "gen"):
        if row.get("slack"):
            continue
        p = constant(1e3 * row["p_mw"] * row["scaling"])
        source.generators.append(GridGenerator(_name(row), row["bus"], p, constant(0)))
        source.notes.append(
            f"generator {_name(row)}: its active power is carried over as PV, its voltage control is not"
        )
    for _, row in _rows(net, "storage"):
        _add_storage(row, source)
    _add_phases(net, source)


def _add_phases(net: Any, source: GridSource) -> None:
    """Loads and generators given by phase, as the sum of their phases."""
    for table in ("asymmetric_load", "asymmetric_sgen"):
        for number, (_, row) in enumerate(_rows(net, table)):
            p, q = (
                constant(1e3 * row["scaling"] * sum(row[f"{kind}_{phase}_{unit}"] for phase in "abc"))
                for kind, unit in (("p", "mw"), ("q", "mvar"))
            )
            if table == "asymmetric_load":
                source.loads.append(GridLoad(_name(row), row["bus"], p, q))
            else:
                source.generators.append(GridGenerator(_name(row), row["bus"], p, q))
            if not number:
                source.notes.append(f"`{table}`: the three phases are added up; gridlab's grid is balanced")


def _add_storage(row: dict[str, Any], source: GridSource) -> None:
    energy_kwh = 1e3 * (_given(row, "max_e_mwh") or 0.0)
    powers_mw = [abs(_given(row, key) or 0.0) for key in ("sn_mva", "max_p_mw", "min_p_mw", "p_mw")]
    s_kva = 1e3 * next((power for power in powers_mw if power), 0.0)
    if not energy_kwh or not s_kva:
        source.notes.append(f"storage {_name(row)}: without energy or power; left out")
        return
    if row["p_mw"] or row["q_mvar"]:
        source.notes.append(f"storage {_name(row)}: its power of {1e3 * row['p_mw']:g} kW is planned anew")
    soc_min = 1e3 * (_given(row, "min_e_mwh") or 0.0) / energy_kwh
    soc = (_given(row, "soc_percent") or 0.0) / 100
    source.storages.append(GridStorage(_name(row), row["bus"], s_kva, energy_kwh, soc, soc_min))


def _add_shunts(net: Any, source: GridSource) -> None:
    """Shunts at the nominal voltage of their bus; reactive power that is drawn is inductive."""
    for _, row in _rows(net, "shunt"):
        kv = source.buses[row["bus"]].nominal_kv
        steps = row["step"] * (kv / (_given(row, "vn_kv") or kv)) ** 2
        source.shunts.append((row["bus"], complex(row["p_mw"], -row["q_mvar"]) * steps * 1e6 / kv**2))


def _left_out(net: Any) -> Iterator[str]:
    """Tables with something in service that are not read."""
    import pandas as pd

    for table in sorted(net.keys()):
        value = net[table]
        ignored = table in READ or table in NOT_GRID or table.startswith(("_", "res_", "std_types"))
        if ignored or not isinstance(value, pd.DataFrame) or "in_service" not in value:
            continue
        if number := int(value["in_service"].astype(bool).sum()):
            yield f"{number} of `{table}`: left out"
