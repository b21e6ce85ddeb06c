"""Random but plausible scenarios for tests and benchmarks: radial feeders of any size, from a seed."""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from core.arrays import FloatArray
from core.network import GridLimits, Line, Network
from core.prices import Tariff
from core.resources import Battery, Load, Outlook, Pv, Resource
from core.scenario import Scenario, Site
from core.time import TimeAxis

BATTERY = Battery(5.0, 10.0)


@dataclass(frozen=True)
class Sizes:
    """Limits of a feeder, and resources of its prosumers.

    Attributes:
        band_pu: half of the allowed voltage band.
        i_max_a: limit of every line; None without one.
        battery: of each of five prosumers, scaled for other numbers of them. None without batteries.
        total_pv_kw: peak power of all PV plants together.
    """

    band_pu: float = 0.05
    i_max_a: float | None = None
    slack_s_max_kva: float = 60.0
    battery: Battery | None = BATTERY
    total_pv_kw: float = 40.0


SIZES = Sizes()


def radial_network(n_nodes: int, seed: int, i_max_a: float | None = None, b_us: float = 0.0) -> Network:
    """A random tree; its total impedance stays in the range of a low-voltage feeder whatever its size."""
    rng = np.random.default_rng(seed)
    lines = []
    for k in range(1, n_nodes):
        parent = max(0, k - int(rng.integers(1, 4)))
        r_ohm = rng.uniform(1.0, 3.0) / n_nodes
        lines.append(Line(f"B{parent}", f"B{k}", r_ohm, r_ohm * rng.uniform(0.2, 0.8), b_us, i_max_a))
    return Network("B0", 400.0, tuple(lines))


def outlook(axis: TimeAxis, rng: np.random.Generator, peak_kw: float) -> Outlook:
    """A load with two humps and a clear-sky PV plant."""
    hour = np.array([t.hour + t.minute / 60 for t in axis.times])
    shape: FloatArray = 0.3 + np.exp(-((hour - 8) ** 2) / 4) + np.exp(-((hour - 19) ** 2) / 6)
    load = rng.uniform(0.5, 1.5) * shape * rng.uniform(0.8, 1.2, axis.n_steps)
    sun = np.clip(np.cos((hour - 13) / 7 * np.pi / 2), 0, None) ** 1.5
    return Outlook(load, 0.3 * load, peak_kw * sun)


def site_with(name: str, node: str, expected: Outlook, battery: Battery | None = None, peak_kw: float = 0.0) -> Site:
    """A site with a load, and with a battery and a PV plant where they are given."""
    resources: dict[str, Resource] = {}
    if battery is not None:
        resources["battery"] = battery
    if peak_kw:
        resources["pv"] = Pv(peak_kw, expected.pv_available_kw)
    return Site(name, node, {**resources, "load": Load(expected.load_kw, expected.load_kvar)})


def scenario(
    n_nodes: int = 15,
    n_prosumers: int = 5,
    seed: int = 0,
    step_min: int = 30,
    day: date = date(2018, 6, 21),
    sizes: Sizes = SIZES,
) -> Scenario:
    """A random feeder with ``n_prosumers`` sites spread over its nodes; several may share one."""
    rng = np.random.default_rng(seed)
    axis = TimeAxis.day(day, "Europe/Zurich", step_min)
    network = radial_network(n_nodes, seed, sizes.i_max_a)
    nodes = rng.choice(network.nodes[1:], n_prosumers, replace=n_prosumers > n_nodes - 1)
    peak_kw = sizes.total_pv_kw / n_prosumers
    share, battery = 5 / n_prosumers, sizes.battery
    if battery is not None:
        battery = replace(battery, s_max_kva=battery.s_max_kva * share, energy_kwh=battery.energy_kwh * share)
    sites = []
    for k, node in enumerate(nodes):
        expected = outlook(axis, rng, peak_kw)
        expected = Outlook(expected.load_kw * share, expected.load_kvar * share, expected.pv_available_kw)
        sites.append(site_with(f"P{k}", str(node), expected, battery, peak_kw))
    hour = np.array([t.hour for t in axis.times])
    buy = 0.15 + 0.05 * np.sin((hour - 6) / 24 * 4 * np.pi)
    limits = GridLimits(1 - sizes.band_pu, 1 + sizes.band_pu, sizes.slack_s_max_kva, 0.95)
    return Scenario("synthetic", axis, network, limits, np.ones(axis.n_steps), Tariff(buy, buy), tuple(sites))


def turned_lines(network: Network) -> Network:
    """The same grid with every other line given from its far end."""
    lines = tuple(
        replace(line, from_node=line.to_node, to_node=line.from_node) if k % 2 else line
        for k, line in enumerate(network.lines)
    )
    return replace(network, lines=lines)


def random_demand(scenario: Scenario, seed: int, p_kw: float, q_kvar: float) -> FloatArray:
    """Profiles [N, T, 2] without any structure, uniform in ±p_kw and ±q_kvar."""
    rng = np.random.default_rng(seed)
    size = (len(scenario.sites), scenario.axis.n_steps)
    return np.stack([rng.uniform(-p_kw, p_kw, size), rng.uniform(-q_kvar, q_kvar, size)], axis=2)


def with_slack_voltage(scenario: Scenario, v_pu: float) -> Scenario:
    """The scenario with another supply voltage."""
    return replace(scenario, slack_voltage_pu=np.full(scenario.axis.n_steps, v_pu))


def with_losses(scenario: Scenario, loss_rel: float) -> Scenario:
    """The scenario with converters of batteries and PV that lose this share at full power."""

    def lossy(resource: Resource) -> Resource:
        return replace(resource, loss_rel=loss_rel) if isinstance(resource, Battery | Pv) else resource

    sites = tuple(
        replace(site, resources={name: lossy(resource) for name, resource in site.resources.items()})
        for site in scenario.sites
    )
    return replace(scenario, sites=sites)


def with_load_factor(scenario: Scenario, factor: float) -> Scenario:
    """The scenario with all loads multiplied."""

    def scaled(resource: Resource) -> Resource:
        if isinstance(resource, Load):
            return Load(factor * resource.p_kw, factor * resource.q_kvar)
        return resource

    sites = tuple(
        replace(site, resources={name: scaled(resource) for name, resource in site.resources.items()})
        for site in scenario.sites
    )
    return replace(scenario, sites=sites)
