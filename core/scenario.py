"""A scenario: the public problem of a day with the private sites, for those who own all of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import TypeVar

import numpy as np

from core.arrays import FloatArray
from core.network import GridLimits, Network
from core.prices import Tariff
from core.problem import Problem
from core.resources import Battery, Load, Outlook, Pv, Resource
from core.time import TimeAxis

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True)
class Site:
    """A prosumer as its owner knows it: what stands behind its meter at ``node``.

    Attributes:
        resources: by name; one is a load, which may be zero.
        rating_kva: apparent power that its converters can pass in all; None without a converter, and without a limit.
    """

    name: str
    node: str
    resources: Mapping[str, Resource]
    rating_kva: float | None = None

    def each(self, kind: type[R]) -> tuple[R, ...]:
        """The resources of a kind, in order."""
        return tuple(resource for resource in self.resources.values() if isinstance(resource, kind))

    @property
    def battery(self) -> Battery | None:
        """The battery of a site that has one at most; None without.

        Raises:
            ValueError: there are several.
        """
        (battery,) = self.each(Battery) or (None,)
        return battery

    @property
    def outlook(self) -> Outlook:
        """Load and available PV in all."""
        loads, plants = self.each(Load), self.each(Pv)
        load_kw = _total(load.p_kw for load in loads)
        available_kw = _total(plant.available_kw for plant in plants) if plants else np.zeros_like(load_kw)
        return Outlook(load_kw, _total(load.q_kvar for load in loads), available_kw)

    def after(self, steps: int) -> "Site":
        """The site when the first ``steps`` steps have passed."""
        return replace(self, resources={name: resource.after(steps) for name, resource in self.resources.items()})

    def starting_at(self, soc: float | None) -> "Site":
        """The site with its battery starting from ``soc``, moved into the band if it has left it; None is unknown."""
        battery = self.battery
        return self if battery is None or soc is None else self.with_battery(battery.starting_at(soc))

    def with_battery(self, battery: Battery) -> "Site":
        """The site with this battery in place of the one it has."""
        changed = {name: battery if isinstance(one, Battery) else one for name, one in self.resources.items()}
        return replace(self, resources=changed)


@dataclass(frozen=True)
class Scenario:
    """Problem and sites of one horizon; the fields besides ``sites`` are those of :class:`core.problem.Problem`."""

    name: str
    axis: TimeAxis
    network: Network
    limits: GridLimits
    slack_voltage_pu: FloatArray
    tariff: Tariff
    sites: tuple[Site, ...]
    margin_pu: float | FloatArray = 0.0

    @property
    def problem(self) -> Problem:
        """What whoever coordinates the sites may know."""
        return Problem(
            axis=self.axis,
            network=self.network,
            limits=self.limits,
            slack_voltage_pu=self.slack_voltage_pu,
            tariff=self.tariff,
            nodes={site.name: site.node for site in self.sites},
            margin_pu=self.margin_pu,
        )

    def after(self, steps: int) -> "Scenario":
        """What is left when the first ``steps`` steps have passed."""
        left = self.problem.after(steps)
        return replace(
            self,
            axis=left.axis,
            slack_voltage_pu=left.slack_voltage_pu,
            tariff=left.tariff,
            sites=tuple(site.after(steps) for site in self.sites),
        )


def _total(series: Iterable[FloatArray]) -> FloatArray:
    """Sum of one series or more."""
    return reduce(np.add, series)
