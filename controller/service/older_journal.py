"""Conversion of records in a journal of an older version to their present form.

Version 1 of the records had a prosumer's plan as flat arrays of its battery, PV plant and load, and identified a
configuration by the way pydantic prints its sections. It kept states of the real-time layer by prosumer, as each had
one converter, with the rung of its ladder as ``mode``. Until voltage slopes came, signals had no ``slope``, and states
no ``correction``; until reactive power had a margin, plans had no ``slack_q_kvar``, and the margin no
``deviations_kvar``. Until resources had own costs, bills did not tell them; until PV inverters supplied reactive power,
states had no ``split`` of plants.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from pydantic import BaseModel

from core.arrays import FloatArray
from core.codec import CodecError, decode, encode
from core.config import Config
from core.plan import AVAILABLE, BATTERY, LOAD, PV, SOC, ProsumerPlan, ResourcePlan
from realtime.slope import NO_CORRECTION

KEYS_OF_VERSION_1: Mapping[str, Sequence[str]] = {
    "GridConfig": ("voltage_v", "slack", "slack_voltage_pu", "lines"),
    "LineConfig": ("from_node", "to_node", "r_mohm", "x_mohm", "i_max_a", "b_us"),
    "ProsumerConfig": ("name", "node", "battery", "pv", "load", "converter"),
    "BatteryConfig": (
        "s_max_kva", "energy_kwh", "soc_initial", "soc_min", "soc_max", "soc_final_min", "efficiency", "capability",
    ),
    "PvConfig": ("forecast", "realised", "peak_kw"),
    "SeriesFile": ("file", "date", "column", "scale", "offset"),
    "LoadFile": ("file", "date", "p", "q", "scale"),
}  # fmt: skip
"""Keys of a section of grid or prosumers in version 1, in their order; what came later has a default."""
_ADDED: Mapping[str, Mapping[str, object]] = {
    "amounts": {"split": []},
    "in_force": {"pv_kvar": 0.0, "pv_split": []},
}
"""Fields of the parts of a state that an older journal lacks."""


@dataclass(frozen=True)
class FlatPlan:
    """A prosumer's plan in version 1; ``soc`` is None without a battery."""

    p_kw: FloatArray
    q_kvar: FloatArray
    battery_kw: FloatArray
    battery_kvar: FloatArray
    pv_kw: FloatArray
    pv_available_kw: FloatArray
    load_kw: FloatArray
    load_kvar: FloatArray
    soc: FloatArray | None
    simultaneous_kw: float

    def by_resource(self) -> ProsumerPlan:
        """The plan by resource. A PV plant that never could generate is left out, as the flat form does not show it."""
        resources = {}
        if self.soc is not None:
            resources[BATTERY] = ResourcePlan(
                BATTERY, -self.battery_kw, -self.battery_kvar, {SOC: self.soc}, self.simultaneous_kw
            )
        if self.pv_available_kw.any():
            resources[PV] = ResourcePlan(PV, -self.pv_kw, 0 * self.pv_kw, {AVAILABLE: self.pv_available_kw})
        resources[LOAD] = ResourcePlan(LOAD, self.load_kw, self.load_kvar, {})
        return ProsumerPlan(self.p_kw, self.q_kvar, resources)


def identity_of_version_1(config: Config) -> str:
    """Identity of a configuration in version 1, from grid, prosumers and the steps of a day."""
    parts = config.grid, config.prosumers, config.horizon.timezone, config.horizon.step_min
    return sha256(_printed(parts).encode()).hexdigest()


def _printed(value: object) -> str:
    """The text that ``repr`` had in version 1: later keys appear only where they are used."""
    match value:
        case BaseModel():
            name, keys = type(value).__name__, type(value).model_fields
            first = KEYS_OF_VERSION_1.get(name, tuple(keys))
            used = [key for key in keys if key not in first and getattr(value, key) != keys[key].default]
            return f"{name}({', '.join(f'{key}={_printed(getattr(value, key))}' for key in (*first, *used))})"
        case tuple():
            return f"({', '.join(map(_printed, value))}{',' * (len(value) == 1)})"
    return repr(value)


def upgraded_plans(kept: object) -> object:
    """The JSON of :class:`controller.service.memory.KeptPlans`, converted if it is of version 1.

    Anything else is returned unchanged, for the reader to reject.
    """
    if not isinstance(kept, dict):
        return kept
    return {name: _upgraded_plan(plan) for name, plan in kept.items()}


def upgraded_margin(kept: object) -> object:
    """The JSON of :class:`mpc.margin.Margin`, with nothing learned of reactive power if it is from before that."""
    if isinstance(kept, dict):
        return {"deviations_kvar": encode(np.empty(0)), **kept}
    return kept


def upgraded_cycle(kept: object, converter_of: Mapping[str, str]) -> object:
    """The JSON of :class:`controller.service.memory.KeptCycle`, converted if it is of an older version.

    Anything else is returned unchanged, for the reader to reject.

    Args:
        converter_of: prosumer → its only converter, by which its state is kept now.
    """
    if isinstance(kept, dict) and kept.keys() == {"at", "states", "costs"}:
        kept = {**kept, "ended": None}
    match kept:
        case {"states": dict(states), **rest}:
            renamed = converter_of if any(map(_is_of_version_1, states.values())) else {}
            return {**rest, "states": {renamed.get(name, name): _upgraded_state(s) for name, s in states.items()}}
    return kept


def _is_of_version_1(state: object) -> bool:
    match state:
        case {"ladder": {"mode": _}}:
            return True
    return False


def _upgraded_state(state: object) -> object:
    match state:
        case {"ladder": {"mode": rung, **ladder}, **rest}:
            state = {**rest, "ladder": {**ladder, "rung": rung}}
    if isinstance(state, dict):
        state = {**state, "correction": state.get("correction", encode(NO_CORRECTION))}
        for part, added in _ADDED.items():
            if isinstance(known := state.get(part), dict):
                state[part] = {**added, **known}
    return state


def _upgraded_plan(kept: object) -> object:
    match kept:
        case {
            "running": {"plan": {"prosumers": dict(prosumers), "agreements": dict(agreements), **plan}, **running},
            **rest,
        }:
            own = {name: _upgraded_prosumer(prosumer) for name, prosumer in prosumers.items()}
            agreed = {name: _upgraded_agreement(agreement) for name, agreement in agreements.items()}
            known = {"slack_q_kvar": None, **running, "bills": _upgraded_bills(running.get("bills"))}
            return {**rest, "running": {**known, "plan": {**plan, "prosumers": own, "agreements": agreed}}}
    return kept


def _upgraded_bills(kept: object) -> object:
    """With no own costs, if they are from before there were any."""
    if not isinstance(kept, dict):
        return kept
    without = {"uncoordinated_own_chf": 0.0, "coordinated_own_chf": 0.0}
    return {name: {**without, **bill} if isinstance(bill, dict) else bill for name, bill in kept.items()}


def _upgraded_agreement(kept: object) -> object:
    """With a signal that asks no voltage slope and an unrestricted profile, if it is from before there were such."""
    match kept:
        case {"signal": dict(signal), "profile": dict(profile), **rest}:
            unrestricted = {"above_restricted_chf": 0.0, "above_relaxed_chf": 0.0}
            signal = {**signal, "slope": signal.get("slope")}
            return {**rest, "signal": signal, "profile": {**unrestricted, **profile}}
    return kept


def _upgraded_prosumer(prosumer: object) -> object:
    try:
        return encode(decode(FlatPlan, prosumer).by_resource())
    except CodecError:
        return prosumer
