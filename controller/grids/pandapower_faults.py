"""What a network of pandapower needs before it is read: numbers for a power flow, and elements that exist."""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

from core.errors import Fault, shown

POWERS = ("p_mw", "q_mvar", "scaling")
PHASES = ("scaling", *(f"{kind}_{phase}_{unit}" for kind, unit in (("p", "mw"), ("q", "mvar")) for phase in "abc"))
NUMBERS = {
    "bus": ("vn_kv",),
    "line": ("length_km", "r_ohm_per_km", "x_ohm_per_km", "c_nf_per_km", "parallel"),
    "trafo": ("sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "vkr_percent", "pfe_kw", "i0_percent", "parallel"),
    "ext_grid": ("vm_pu",),
    "load": POWERS,
    "sgen": POWERS,
    "gen": ("p_mw", "vm_pu", "scaling"),
    "storage": ("p_mw", "q_mvar"),
    "shunt": ("p_mw", "q_mvar", "step"),
    "asymmetric_load": PHASES,
    "asymmetric_sgen": PHASES,
}
"""Table → columns of numbers."""
BUSES = {"line": ("from_bus", "to_bus"), "trafo": ("hv_bus", "lv_bus")}
"""Table → columns of buses; ``bus`` in the others."""
SWITCHED = {"b": "bus", "l": "line", "t": "trafo", "t3": "trafo3w"}
"""``et`` of a switch → the table of its element."""


def network_faults(net: Any, file: Path) -> Iterator[Fault]:
    """Every number that is missing, and every bus or element that is not there, of what is in service."""
    for table in (*NUMBERS, "switch"):
        for k, row in zip(net[table].index.tolist(), net[table].to_dict("records"), strict=True):
            if not row.get("in_service", True):
                continue
            for column in NUMBERS.get(table, ()):
                if not _is_number(row.get(column)):
                    yield Fault(str(file), f"{table}[{k}].{column}", shown(row.get(column)), "a finite number")
            columns = () if table == "bus" else BUSES.get(table, ("bus",))
            places = [(column, "bus") for column in columns]
            if table == "switch":
                places.append(("element", SWITCHED.get(row["et"], "bus")))
            for column, other in places:
                if row[column] not in net[other].index:
                    yield Fault(str(file), f"{table}[{k}].{column}", shown(row[column]), f"an index of `{other}`")


def _is_number(value: Any) -> bool:
    try:
        return isfinite(value)
    except TypeError:
        return False
