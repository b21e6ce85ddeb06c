"""Rules that several kinds of configurations have: on the horizon, on what prosumers own, and on names."""

from collections.abc import Iterable, Iterator, Sequence

from core.config import HorizonConfig
from core.config_fields import Constant, Expected, Section
from core.config_resources import BatteryConfig, PvConfig
from core.errors import shown
from core.rules import BrokenRule, known
from core.time import TimeAxis

SHORTEST_DAY_H = 23


def horizon_rules(horizon: HorizonConfig) -> Iterator[BrokenRule]:
    """The day exists, and consists of whole steps."""
    if not known(horizon, "date", "timezone"):
        return
    minutes = TimeAxis.day(horizon.date, horizon.timezone, step_min=1).n_steps
    day = f"{horizon.date} in {horizon.timezone}"
    if minutes == 0:
        yield BrokenRule("horizon.date", f"{horizon.date}", f"a day that exists; {day} does not")
    elif known(horizon, "step_min") and minutes % horizon.step_min:
        yield BrokenRule("horizon.step_min", f"{horizon.step_min}", f"a divisor of {minutes}, the minutes of {day}")


def constants(key: str, series: object) -> Iterator[tuple[str, float]]:
    """Numbers given in the configuration in place of files, with their keys."""
    match series:
        case float():
            yield key, series
        case Constant() if known(series, "constant"):
            yield f"{key}.constant", series.constant
        case Expected():
            for variant in ("forecast", "realised"):
                yield from constants(f"{key}.{variant}", getattr(series, variant, None))


def resource_rules(prosumers: Sequence[Section]) -> Iterator[BrokenRule]:
    """There are prosumers, and their batteries and PV plants are possible."""
    if not prosumers:
        yield BrokenRule("prosumers", "an empty list", "at least one prosumer")
    for k, prosumer in enumerate(prosumers):
        if battery := getattr(prosumer, "battery", None):
            yield from _battery(f"prosumers[{k}].battery", battery)
        yield from _plants(f"prosumers[{k}].pv", getattr(prosumer, "pv", None))


def _plants(key: str, given: PvConfig | tuple[PvConfig, ...] | None) -> Iterator[BrokenRule]:
    """Available powers are not negative, and the plants of a list have names of their own."""
    keyed = {f"{key}[{k}]": plant for k, plant in enumerate(given)} if isinstance(given, tuple) else {key: given}
    for place, plant in keyed.items():
        for at, kw_per_kwp in constants(place, plant):
            if kw_per_kwp < 0:
                yield BrokenRule(at, f"{kw_per_kwp:g}", "an available power ≥ 0 kW per kWp")
    if isinstance(given, tuple):
        yield from repeated(key, "name", given)
        numbers = [str(k) for k in range(1, len(given) + 1)]
        for place, plant in keyed.items():
            if (name := getattr(plant, "name", None)) in numbers and place != f"{key}[{numbers.index(name)}]":
                yield BrokenRule(f"{place}.name", shown(name), "a name that is not the number of another plant")


def _battery(key: str, battery: BatteryConfig) -> Iterator[BrokenRule]:
    if not known(battery, "soc_min", "soc_max"):
        return
    low, high = battery.soc_min, battery.soc_max
    if low >= high:
        yield BrokenRule(f"{key}.soc_min", f"{low:g}", f"less than soc_max, {high:g}")
        return
    final = getattr(battery, "soc_final_min", None)
    if isinstance(final, float) and not low <= final <= high:
        yield BrokenRule(f"{key}.soc_final_min", f"{final:g}", f"from soc_min to soc_max, {low:g} to {high:g}")
    if all(known(battery, name) for name in BatteryConfig.model_fields) and isinstance(battery.soc_final_min, float):
        per_hour = battery.efficiency * battery.battery().power_box_kw / battery.energy_kwh
        reachable = battery.soc_initial + SHORTEST_DAY_H * per_hour
        if battery.soc_final_min > reachable:
            allowed = f"at most {reachable:.3g}, what charging all day reaches from soc_initial"
            yield BrokenRule(f"{key}.soc_final_min", f"{battery.soc_final_min:g}", allowed)


def repeated(path: str, key: str, sections: Iterable[Section]) -> Iterator[BrokenRule]:
    """Values of ``key`` that an earlier section of the list at ``path`` has already."""
    first: dict[str, int] = {}
    for k, section in enumerate(sections):
        name = getattr(section, key, None)
        if name is not None and first.setdefault(name, k) != k:
            yield BrokenRule(f"{path}[{k}].{key}", shown(name), f"a {key} that {path}[{first[name]}] does not have")
