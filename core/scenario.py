"""A scenario: the public problem of a day together with all private sites."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import TypeVar

import numpy as np

from core.arrays import FloatArray
from core.errors import Caution
from core.feeders import Feeder
from core.hierarchy import TreeProblem
from core.network import GridLimits, Network
from core.plan import LOAD
from core.prices import Tariff
from core.problem import Problem
from core.resources import LEAD_BACK, Battery, Load, Outlook, Pv, Resource, inscribed_polygon
from core.time import TimeAxis

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True)
class Site:
    """A prosumer with its private data: the resources behind its meter at ``node``.

    Attributes:
        resources: by name; one is a load, which may be zero.
        rating_kva: apparent power of all its converters together; None without a converter, which means no limit.
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
        """The battery of a site with at most one; None without.

        Raises:
            ValueError: there are several.
        """
        (battery,) = self.each(Battery) or (None,)
        return battery

    @property
    def outlook(self) -> Outlook:
        """Sums of load and available PV over the resources."""
        loads, plants = self.each(Load), self.each(Pv)
        load_kw = _total(load.p_kw for load in loads)
        available_kw = _total(plant.available_kw for plant in plants) if plants else np.zeros_like(load_kw)
        each_kw = tuple(plant.available_kw for plant in plants)
        return Outlook(load_kw, _total(load.q_kvar for load in loads), available_kw, each_kw)

    @property
    def net_load_kw(self) -> FloatArray:
        """Load less all that PV can give, [T]."""
        return self.outlook.load_kw - self.outlook.pv_available_kw

    def after(self, steps: int) -> "Site":
        """The site without its first ``steps`` steps."""
        return replace(self, resources={name: resource.after(steps) for name, resource in self.resources.items()})

    def starting_at(self, soc: float | None) -> "Site":
        """The site with its battery starting from ``soc``, moved into its band if outside; unchanged if ``soc`` is
        None.
        """
        battery = self.battery
        return self if battery is None or soc is None else self.with_battery(battery.starting_at(soc))

    @property
    def charging_kw(self) -> FloatArray:
        """Power that the batteries together can surely take in, [T]: min(Σ box, max(0, √(d² − load_q²) − load_p + g)).

        That is beside the load and all that PV can give, within the inner radius d of the polygon in the rating's disc.
        """
        return self._beside(self.net_load_kw)

    @property
    def discharging_kw(self) -> FloatArray:
        """Power that the batteries together can surely give, [T]: min(Σ box, √(d² − load_q²) + load_p), without PV."""
        return self._beside(-self.outlook.load_kw)

    def _beside(self, other_kw: FloatArray) -> FloatArray:
        """Power of the batteries, in either direction, that the converters can pass beside ``other_kw`` of it, [T]."""
        power_kw = sum(battery.power_box_kw for battery in self.each(Battery))
        if self.rating_kva is None:
            return np.full_like(other_kw, power_kw)
        _, d = inscribed_polygon(self.rating_kva)
        room_kw = np.sqrt(np.maximum(d**2 - self.outlook.load_kvar**2, 0)) - other_kw
        return np.asarray(np.clip(room_kw, 0, power_kw))

    def led_back(self) -> "Site":
        """The site with a battery outside its band led back by ``LEAD_BACK`` of what its converters surely can pass."""
        battery = self.battery
        if battery is None or self.rating_kva is None or battery.soc_min <= battery.soc_initial <= battery.soc_max:
            return self
        below = battery.soc_initial < battery.soc_min
        lead_kw = LEAD_BACK * (self.charging_kw if below else self.discharging_kw)
        return self.with_battery(replace(battery, lead_kw=lead_kw))

    def as_net_load(self) -> "Site":
        """The site as a load alone: what it draws if nobody controls it, its load less all that its PV can give.

        Whatever else it has is at rest.
        """
        return replace(self, resources={LOAD: Load(self.net_load_kw, self.outlook.load_kvar)})

    def with_battery(self, battery: Battery) -> "Site":
        """The site with ``battery`` in place of its own."""
        changed = {name: battery if isinstance(one, Battery) else one for name, one in self.resources.items()}
        return replace(self, resources=changed)


@dataclass(frozen=True)
class Scenario:
    """Problem and sites of one horizon; attributes besides these are those of :class:`core.problem.Problem`.

    Attributes:
        cautions: what the user should know about the files it was read from.
    """

    name: str
    axis: TimeAxis
    network: Network
    limits: GridLimits
    slack_voltage_pu: FloatArray
    tariff: Tariff
    sites: tuple[Site, ...]
    margin_pu: float | FloatArray = 0.0
    reactive_margin_kvar: float = 0.0
    feeders: tuple[Feeder, ...] = ()
    cautions: tuple[Caution, ...] = ()

    @property
    def problem(self) -> Problem:
        """The public part of the scenario."""
        return Problem(
            axis=self.axis,
            network=self.network,
            limits=self.limits,
            slack_voltage_pu=self.slack_voltage_pu,
            tariff=self.tariff,
            nodes={site.name: site.node for site in self.sites},
            margin_pu=self.margin_pu,
            reactive_margin_kvar=self.reactive_margin_kvar,
            feeders=self.feeders,
        )

    def with_passive(self, names: Collection[str]) -> "Scenario":
        """The scenario in which nobody controls these sites: they are loads, and nothing of them can be planned."""
        return replace(self, sites=tuple(site.as_net_load() if site.name in names else site for site in self.sites))

    def after(self, steps: int) -> "Scenario":
        """The scenario without its first ``steps`` steps."""
        left = self.problem.after(steps)
        return replace(
            self,
            axis=left.axis,
            slack_voltage_pu=left.slack_voltage_pu,
            tariff=left.tariff,
            sites=tuple(site.after(steps) for site in self.sites),
        )


@dataclass(frozen=True)
class LoadedTree:
    """A tree of aggregators as its files describe it, with a site for each leaf, at the branch that is its ``node``."""

    problem: TreeProblem
    sites: tuple[Site, ...]
    cautions: tuple[Caution, ...] = ()


def _total(series: Iterable[FloatArray]) -> FloatArray:
    """Sum of one or more series."""
    return reduce(np.add, series)
