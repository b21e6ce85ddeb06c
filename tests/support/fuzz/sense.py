"""Checks that loaded data make sense, implemented a second time, without the loader's types and rules."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from core.config import Config
from drivers.registers import RegisterMap

HUGE = 1e300
_BITS = {"int16": 16, "uint16": 16, "int32": 32, "uint32": 32, "uint64": 64, "float32": 32}


def doubts_about_config(config: Config) -> Iterator[str]:
    """Faults of an accepted configuration."""
    yield from (f"{path} is {number}" for path, number in _numbers("", config.model_dump()) if not isfinite(number))
    limits, schedule, horizon = config.limits, config.schedule, config.horizon
    if not 0.5 <= limits.v_min_pu < limits.v_max_pu <= 1.5 or not 0 <= limits.slack_pf_min <= 1:
        yield f"limits {limits}"
    if limits.slack_s_max_kva <= 0 or config.grid.voltage_v <= 0 or not config.prosumers:
        yield "nothing to supply"
    begin, end = (
        datetime.combine(horizon.date + timedelta(days=d), datetime.min.time(), ZoneInfo(horizon.timezone)).timestamp()
        for d in (0, 1)
    )
    if end <= begin or (end - begin) % (60 * horizon.step_min):
        yield f"horizon {horizon}"
    if 60 * schedule.mpc_every_min % schedule.realtime_s or not 0 < schedule.realtime_s <= 37.5:
        yield f"schedule {schedule}"
    yield from _places(config)
    yield from _assets(config)
    yield from _devices(config)


def doubts_about_registers(registers: RegisterMap) -> Iterator[str]:
    """Faults of an accepted register map."""
    taken: dict[int, str] = {}
    if len({r.name for r in registers.registers}) != len(registers.registers) or not registers.registers:
        yield "names"
    for r in registers.registers:
        for address in range(r.address, r.address + _BITS[r.type] // 16):
            if taken.setdefault(address, r.name) != r.name or not 0 <= address <= 65535:
                yield f"{r.name} at {address}"
        if r.scale == 0 or not all(isfinite(x) for x in (r.scale, r.offset)):
            yield f"{r.name}: scale {r.scale}, offset {r.offset}"
        if r.min is not None and r.max is not None and not r.min <= r.max:
            yield f"{r.name}: from {r.min} to {r.max}"
        whole = r.type != "float32" and r.sentinel is not None
        if whole and (
            not isinstance(r.sentinel, int) or not -(2 ** (_BITS[r.type] - 1)) <= r.sentinel < 2 ** _BITS[r.type]
        ):
            yield f"{r.name}: sentinel {r.sentinel}"


def kept(data: Any, loaded: BaseModel) -> Iterator[str]:
    """Values of the document that differ from the loaded ones."""
    yield from differences("", data, loaded.model_dump(mode="json", by_alias=True))


def differences(path: str, data: Any, loaded: Any) -> Iterator[str]:
    """Values of one JSON document that differ from those of the other, which may have more."""
    if isinstance(data, dict) and isinstance(loaded, dict):
        for key, value in data.items():
            if key in loaded:
                yield from differences(f"{path}.{key}", value, loaded[key])
            else:
                yield f"{path}.{key} is lost"
    elif isinstance(data, list) and isinstance(loaded, list) and len(data) == len(loaded):
        for k, (value, known) in enumerate(zip(data, loaded, strict=True)):
            yield from differences(f"{path}[{k}]", value, known)
    elif not _same(data, loaded):
        yield f"{path}: {data!r} became {loaded!r}"


def _same(data: Any, loaded: Any) -> bool:
    """Equality up to case (solvers), seconds (times), and the form of paths; a number stays one, NaN as text or not."""
    if isinstance(data, float) and not isfinite(data):
        return str(data) == str(loaded)
    if isinstance(data, str) and isinstance(loaded, str):
        return loaded in (data, data.lower(), f"{data}:00") or Path(data) == Path(loaded)
    if isinstance(data, bool) or isinstance(loaded, bool):
        return data is loaded
    if isinstance(data, int) and isinstance(loaded, float) and abs(data) < HUGE:
        return float(data) == loaded
    return bool(data == loaded)


def _numbers(path: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(f"{path}.{key}", inner)
    elif isinstance(value, list | tuple):
        for k, inner in enumerate(value):
            yield from _numbers(f"{path}[{k}]", inner)
    elif isinstance(value, float):
        yield path, value


def _places(config: Config) -> Iterator[str]:
    """Faults of the tree of lines, and of the prosumers' nodes."""
    lines = [(line.from_node, line.to_node) for line in config.grid.lines]
    reached, waiting = {config.grid.slack}, list(lines)
    while step := [line for line in waiting if (line[0] in reached) != (line[1] in reached)]:
        reached |= set(step[0])
        waiting.remove(step[0])
    if waiting or any(line.r_mohm == line.x_mohm == 0 for line in config.grid.lines):
        yield f"lines {waiting}"
    for prosumer in config.prosumers:
        if prosumer.node not in reached - {config.grid.slack}:
            yield f"{prosumer.name} at {prosumer.node}"


def _assets(config: Config) -> Iterator[str]:
    for name, battery, plants in ((p.name, p.battery, p.plants) for p in config.prosumers):
        if battery and not 0 <= battery.soc_min <= battery.soc_initial <= battery.soc_max <= 1:
            yield f"charge of {name}"
        if battery and (min(battery.s_max_kva, battery.energy_kwh) <= 0 or not 0 < battery.efficiency <= 1):
            yield f"battery of {name}"
        if any(plant.peak_kw <= 0 for plant in plants.values()):
            yield f"PV of {name}"


def _devices(config: Config) -> Iterator[str]:
    converters = {device.name: device for device in config.devices if device.kind != "modbus_meter"}
    wanted = [name for p in config.prosumers for name in p.converters]
    for names in ([d.name for d in config.devices], [p.name for p in config.prosumers], wanted):
        if _repeated(names):
            yield f"twice among {names}"
    if not set(wanted) <= converters.keys():
        yield f"converters {wanted}"
    if any(device.s_max_kva <= 0 or device.ramp_kva_per_s <= 0 for device in converters.values()):
        yield "a rating"
    for device in config.devices:
        if device.kind != "opcua_converter" and not (1 <= device.port <= 65535 and 0 <= device.unit <= 255):
            yield f"address of {device.name}"


def _repeated(names: Iterable[object]) -> bool:
    known = list(names)
    return len(known) != len(set(known))
