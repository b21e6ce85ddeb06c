"""Answers of the control socket: the true state of the plant, and the counts of the referees."""

from collections.abc import Mapping

from core.config_devices import Device, OpcUaConverter
from sim_plant.converter import State
from sim_plant.house import HouseState
from sim_plant.laboratory import Laboratory
from sim_plant.referee import Tally

Answer = Mapping[str, object]


def counts(tally: Tally) -> Answer:
    """Frames and violations, in total and by converter."""
    return {
        "frames": tally.frames.total(),
        "refused": tally.refused.total(),
        "violations": tally.violations.total(),
        "rules": dict(tally.rules),
        "devices": {name: {"frames": n, "violations": tally.violations[name]} for name, n in tally.frames.items()},
    }


def truth(laboratory: Laboratory) -> Answer:
    """State of grid, converters and houses without noise at the last advance; energies since the start."""
    state = laboratory.grid_state
    return {
        "at": laboratory.now_s(),
        "solved": state.solved,
        "nodes": dict(state.v_pu),
        "lines": dict(state.i_a),
        "slack": {"p_kw": state.slack_kva.real, "q_kvar": state.slack_kva.imag},
        "converters": {
            name: {**_drawn(station.state), "mode": station.state.mode.name.lower()}
            for name, station in laboratory.converters.items()
        },
        "houses": {name: _drawn(house) for name, house in laboratory.houses.items()},
    }


def address(device: Device) -> Answer:
    """Address at which a device listens."""
    if isinstance(device, OpcUaConverter):
        return {"url": device.url}
    return {"host": device.host, "port": device.port, "unit": device.unit}


def _drawn(state: State | HouseState) -> Answer:
    return {
        "p_kw": state.s_kva.real,
        "q_kvar": state.s_kva.imag,
        "energy_kwh": state.energy_kvah.real,
        "energy_kvarh": state.energy_kvah.imag,
    }
