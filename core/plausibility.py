"""What is allowed in a configuration and its series, but looks like a wrong unit, scale or sign.

Nothing here stops a plan. The measure is the scenario itself: what its supply can carry, and what its day costs.
"""

from collections.abc import Iterator
from math import hypot

import numpy as np

from core.config import Config
from core.config_fields import Variant
from core.errors import Caution
from core.network import Network
from core.resources import Battery, Pv
from core.scenario import Scenario

LARGEST_PRICE = {
    "AUD": 3, "CAD": 3, "CHF": 2, "DKK": 15, "EUR": 2, "GBP": 2, "NOK": 15, "NZD": 3, "PLN": 8, "SEK": 15, "USD": 2,
}  # fmt: skip
"""Mean price of a day (per kWh) beyond which another unit is likely; other currencies are not judged."""
SWISS_FRANC_ZONES = ("Europe/Zurich", "Europe/Vaduz", "Europe/Busingen")
LARGEST_LOAD = 2.0
LARGEST_PLANT = 5.0
"""Multiples of the slack limit."""
LARGEST_PER_KWP = 1.3
"""Bright clouds add a quarter to the power of clear sky."""
SMALLEST_IMPEDANCE = 2e-3
LARGEST_IMPEDANCE = 30.0
"""Of the lines from the slack to the node that is farthest, and of one; in p.u. of the slack limit."""
SMALLEST_VOLTAGE_V = 50.0
LONGEST_DISCHARGE_H = 100.0


def implausible(config: Config, scenario: Scenario, file: str, variant: Variant) -> Iterator[Caution]:
    """Everything in a scenario that looks wrong; ``file`` is that of ``config``."""
    yield from _currency(config, file)
    yield from _prices(config, scenario, file)
    yield from _loads(scenario, file)
    yield from _plants(scenario, file)
    yield from _batteries(scenario, file)
    yield from _overloads(scenario, file, variant)
    yield from _lines(scenario, file)


def _currency(config: Config, file: str) -> Iterator[Caution]:
    zone = config.horizon.timezone
    if "currency" not in config.model_fields_set and zone not in SWISS_FRANC_ZONES:
        yield Caution(file, "currency", f"nothing in {zone}", f"amounts are in {config.currency}")


def _prices(config: Config, scenario: Scenario, file: str) -> Iterator[Caution]:
    largest = LARGEST_PRICE.get(config.currency)
    tariff = scenario.tariff
    for key, prices in (("tariff", tariff.buy_chf_per_kwh), ("tariff.feed_in", tariff.sell_chf_per_kwh)):
        mean = float(np.abs(prices).mean())
        if largest and mean > largest and (key == "tariff" or config.tariff.feed_in is not None):
            got = f"{mean:.4g} {config.currency} per kWh on average"
            yield Caution(file, key, got, "is it per MWh (then `scale: 0.001`), or in cents (`scale: 0.01`)?")
    above = np.flatnonzero(tariff.sell_chf_per_kwh > tariff.buy_chf_per_kwh)
    if len(above):
        t = above[0]
        got = f"{tariff.sell_chf_per_kwh[t]:g} per kWh at {scenario.axis.times[t].isoformat(timespec='minutes')}"
        retail = f"above the retail price then, {tariff.buy_chf_per_kwh[t]:g}, as in {len(above) - 1} more steps"
        yield Caution(file, "tariff.feed_in", got, f"{retail}: a prosumer plans them at the price of the side it is on")


def _loads(scenario: Scenario, file: str) -> Iterator[Caution]:
    total_kw = sum(site.outlook.load_kw for site in scenario.sites)
    peak_kw = float(np.max(total_kw))
    limit_kva = scenario.limits.slack_s_max_kva
    if peak_kw > LARGEST_LOAD * limit_kva:
        advice = f"the slack limit is {limit_kva:g} kVA; are loads in W? then `scale: 0.001`"
        yield Caution(file, "prosumers", f"loads of {peak_kw:.4g} kW together", advice)
    for k, site in enumerate(scenario.sites):
        largest_kw = float(np.abs(site.outlook.load_kw).max())
        if 0 < largest_kw < 0.01:
            got = f"at most {largest_kw:.2g} kW"
            yield Caution(file, f"prosumers[{k}].load", got, "is it in MW? then `scale: 1000`")


def _plants(scenario: Scenario, file: str) -> Iterator[Caution]:
    limit_kva = scenario.limits.slack_s_max_kva
    for k, site in enumerate(scenario.sites):
        for plant in site.each(Pv):
            per_kwp = float(plant.available_kw.max()) / plant.peak_kw
            if per_kwp > LARGEST_PER_KWP:
                in_kw = f"is it in kW? then `scale: {1 / plant.peak_kw:.4g}`"
                advice = in_kw if per_kwp < 2 * plant.peak_kw else "is it in W? then `scale: 0.001`"
                yield Caution(file, f"prosumers[{k}].pv", f"up to {per_kwp:.3g} kW per kWp", advice)
            if plant.peak_kw > LARGEST_PLANT * limit_kva:
                got = f"{plant.peak_kw:g} kWp"
                advice = f"the slack limit is {limit_kva:g} kVA; is it in W?"
                yield Caution(file, f"prosumers[{k}].pv.peak_kw", got, advice)


def _batteries(scenario: Scenario, file: str) -> Iterator[Caution]:
    limit_kva = scenario.limits.slack_s_max_kva
    for k, site in enumerate(scenario.sites):
        key = f"prosumers[{k}].battery"
        for battery in site.each(Battery):
            if not battery.soc_min <= battery.soc_initial <= battery.soc_max:
                band = f"outside soc_min to soc_max, {battery.soc_min:g} to {battery.soc_max:g}; plans lead it back"
                yield Caution(file, f"{key}.soc_initial", f"{battery.soc_initial:g}", band)
            if battery.s_max_kva > LARGEST_PLANT * limit_kva:
                got, advice = f"{battery.s_max_kva:g} kVA", f"the slack limit is {limit_kva:g} kVA; is it in VA?"
                yield Caution(file, f"{key}.s_max_kva", got, advice)
            if battery.energy_kwh > LONGEST_DISCHARGE_H * battery.s_max_kva:
                hours = battery.energy_kwh / battery.s_max_kva
                got = f"{battery.energy_kwh:g} kWh, {hours:.0f} h at full power"
                yield Caution(file, f"{key}.energy_kwh", got, "is it in Wh?")


def _overloads(scenario: Scenario, file: str, variant: Variant) -> Iterator[Caution]:
    """Prosumers whose load alone exceeds the rating of their converters."""
    for k, site in enumerate(scenario.sites):
        load_kva = np.hypot(site.outlook.load_kw, site.outlook.load_kvar)
        largest = int(load_kva.argmax())
        if site.rating_kva is not None and load_kva[largest] > site.rating_kva:
            got = f"a {variant} load of {load_kva[largest]:.3g} kVA at {scenario.axis.times[largest]:%H:%M}"
            advice = f"its converters pass {site.rating_kva:g} kVA; plans supply the load and add nothing to it"
            yield Caution(file, f"prosumers[{k}].load", got, advice)


def _distances_ohm(network: Network) -> dict[str, float]:
    """Node → sum of the impedances on the way from the slack."""
    lines = {line.name: line for line in network.lines}
    distances = {network.slack: 0.0}
    for node, name in network.feeds.items():
        line = lines[name]
        (before,) = line.ends - {node}
        distances[node] = distances[before] + hypot(line.r_ohm, line.x_ohm)
    return distances


def _lines(scenario: Scenario, file: str) -> Iterator[Caution]:
    network = scenario.network
    if network.voltage_v < SMALLEST_VOLTAGE_V:
        yield Caution(file, "grid.voltage_v", f"{network.voltage_v:g} V", "is it in kV? then times 1000")
        return
    base_ohm = network.voltage_v**2 / (1000 * scenario.limits.slack_s_max_kva)
    sizes = [hypot(line.r_ohm, line.x_ohm) for line in network.lines]
    node, farthest_ohm = max(_distances_ohm(network).items(), key=lambda item: item[1])
    if farthest_ohm < SMALLEST_IMPEDANCE * base_ohm:
        got = f"{1000 * farthest_ohm:.3g} mΩ from {network.slack} to {node}, the farthest"
        yield Caution(file, "grid.lines", got, "r_mohm and x_mohm are in mΩ; are they in Ω? then times 1000")
    for k, size in enumerate(sizes):
        if size > LARGEST_IMPEDANCE * base_ohm:
            got = f"{1000 * size:.4g} mΩ"
            yield Caution(file, f"grid.lines[{k}]", got, "nothing that matters can pass it; is it in µΩ?")
