"""The prosumer's quadratic program: PIQP, called directly, against Clarabel through cvxpy."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from benchmarks.cases import scenario
from benchmarks.measure import medians_s
from benchmarks.tables import ResultTable, milliseconds, ratio
from core.prices import PriceSignal
from core.resources import Capability
from core.scenario import Site
from mpc.prosumer import ProsumerProgram

SOLVERS = ("piqp", "clarabel")
REPEATS = 25


def run() -> Iterator[ResultTable]:
    """Yield one table: three prosumers, asked with a new linear term only, and with a new ρ as well."""
    default = scenario()
    site, dt_h = default.sites[-1], default.axis.dt_h
    retail = default.tariff.signal(dt_h)
    table = ResultTable(
        "One answer of a prosumer, 144 steps, ms",
        ["prosumer", "PIQP: set up", "answer", "answer, new ρ", "Clarabel by cvxpy: set up", "answer", "answer, new ρ",
         "Clarabel / PIQP", "with new ρ", "largest difference of costs CHF"],
    )  # fmt: skip
    for label, other in {
        "battery and PV": site,
        "losses (η = 0.95)": with_battery(site, efficiency=0.95),
        "disc of 32 edges": with_battery(site, capability=Capability.DISC),
    }.items():
        build = {
            name: lambda name=name, other=other: ProsumerProgram(other, default.tariff, dt_h, name) for name in SOLVERS
        }
        built = medians_s(3, **build)
        prosumers = {name: build[name]() for name in SOLVERS}
        same = medians_s(REPEATS, **{name: question(each, retail, new_rho=False) for name, each in prosumers.items()})
        new = medians_s(REPEATS, **{name: question(each, retail, new_rho=True) for name, each in prosumers.items()})
        signals = [signal(retail, 0.01, seed) for seed in range(5)]
        costs = [[each.respond(one).cost_chf for one in signals] for each in prosumers.values()]
        cells = [milliseconds(times[name]) for name in SOLVERS for times in (built, same, new)]
        table.add(
            label, *cells, ratio(same["clarabel"], same["piqp"]), ratio(new["clarabel"], new["piqp"]),
            f"{np.abs(np.diff(costs, axis=0)).max():.0e}",
        )  # fmt: skip
    yield table


def with_battery(site: Site, **changes: Any) -> Site:
    """The site with a battery of changed properties."""
    assert site.battery
    return site.with_battery(replace(site.battery, **changes))


def question(prosumer: ProsumerProgram, retail: PriceSignal, new_rho: bool) -> Callable[[], object]:
    """A callable that asks ``prosumer`` with another signal in every call, and with another ρ if ``new_rho``."""
    number = count()

    def ask() -> object:
        k = next(number)
        return prosumer.respond(signal(retail, 0.01 * (1 + k / 10 if new_rho else 1), k))

    return ask


def signal(retail: PriceSignal, rho: float, seed: int) -> PriceSignal:
    """A signal as in a coordination: curvature ρ around a shifted profile, and a grid price."""
    move = np.random.default_rng(seed).normal(0, 0.01, retail.g.shape)
    return PriceSignal(np.broadcast_to(rho * np.eye(2), retail.h.shape), retail.g + move, 0.0)
