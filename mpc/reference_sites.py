"""All prosumers of a horizon in one cvxpy program: their profiles, constraints, bills and own costs.

Written independently of :mod:`mpc.prosumer`, for references alone.
"""

from collections.abc import Sequence

import cvxpy as cp
import numpy as np

from core.errors import Fault, InputError
from core.prices import Tariff
from core.resources import Battery, Capability, Load, Pv, inscribed_polygon
from core.scenario import Site
from core.time import TimeAxis


class CentralSites:
    """The sites as expressions of cvxpy.

    Attributes:
        profiles: demand (p kW, q kvar) of each site, each [T].
        constraints: of all sites (paper A, 20–22).
        cost_chf: Σ_i f_i(x_i), bills with the cost of losses and wear.

    Raises:
        InputError: a site has a resource without a model in this module.
    """

    def __init__(self, axis: TimeAxis, tariff: Tariff, sites: Sequence[Site]) -> None:
        self._steps, self._dt_h, self._tariff = axis.n_steps, axis.dt_h, tariff
        self.constraints: list[cp.Constraint] = []
        self._own_costs: list[cp.Expression] = []
        self.profiles = [self._profile(site) for site in sites]
        p = sum(p for p, _ in self.profiles)
        export = sum(cp.neg(p) for p, _ in self.profiles)
        bills = tariff.buy_chf_per_kwh @ p
        if np.any(tariff.export_spread_chf_per_kwh > 0):
            bills = bills + tariff.export_spread_chf_per_kwh @ export
        for site, (own, _) in zip(sites, self.profiles, strict=True):
            bills = bills + tariff.premium_chf_per_kwh(site.net_load_kw) @ own
        self.cost_chf = bills * self._dt_h + sum(self._own_costs)

    def _profile(self, site: Site) -> tuple[cp.Expression, cp.Expression]:
        """Demand (p, q) of a site, each [T]; its constraints are appended to those of the program."""
        steps = self._steps
        p, q = cp.Constant(np.zeros(steps)), cp.Constant(np.zeros(steps))
        for name, resource in site.resources.items():
            match resource:
                case Load():
                    p, q = p + resource.p_kw, q + resource.q_kvar
                case Pv():
                    g, gamma = self._pv(resource)
                    p, q = p - g, q - gamma
                case Battery():
                    b, beta = self._battery(resource)
                    p, q = p - b, q - beta
                case _:
                    known = "battery, pv or load: the reference knows no other resource"
                    raise InputError([Fault(site.name, name, type(resource).__name__, known)])
        if site.rating_kva is not None and _largest_kva(site) > site.rating_kva:
            normals, offset = inscribed_polygon(site.rating_kva)
            load = np.vstack([site.outlook.load_kw, site.outlook.load_kvar])
            self.constraints.append(normals @ cp.vstack([p, q]) <= np.maximum(offset, normals @ load))
        return p, q

    def _pv(self, pv: Pv) -> tuple[cp.Expression, cp.Expression]:
        """Output g and reactive power γ, each [T]; constraints are appended to those of the program."""
        steps = self._steps
        g = cp.Variable(steps, bounds=[0, pv.available_kw])
        if pv.s_max_kva is None:
            self._lose(pv.loss_rel, pv.rating_kva, g)
            return g, cp.Constant(np.zeros(steps))
        gamma = cp.Variable(steps)  # bounded by constraints, as the reactive power of a battery
        self._lose(pv.loss_rel, pv.rating_kva, g, gamma)
        self.constraints += [gamma >= -pv.reactive_box_kvar, gamma <= pv.reactive_box_kvar]
        if pv.capability is Capability.DISC:
            normals, offset = inscribed_polygon(pv.s_max_kva)
            self.constraints.append(normals @ cp.vstack([g, gamma]) <= offset)
        return g, gamma

    def _battery(self, battery: Battery) -> tuple[cp.Expression, cp.Expression]:
        """Discharge b and reactive power β, each [T]; constraints are appended to those of the program."""
        steps, box, eta = self._steps, battery.power_box_kw, battery.efficiency
        floor, ceiling = battery.soc_band(steps, self._dt_h)
        beta = cp.Variable(steps)  # bounded by constraints: without the grid it would drop out of the program
        soc = cp.Variable(steps, bounds=[floor, ceiling])
        if eta == 1.0 and battery.wear_chf_per_kwh == 0.0:
            b = drawn = cp.Variable(steps, bounds=[-box, box])
            self._lose(battery.loss_rel, battery.s_max_kva, b, beta)
        else:
            charge, discharge = cp.Variable(steps, bounds=[0, box]), cp.Variable(steps, bounds=[0, box])
            b, drawn = discharge - charge, discharge / eta - eta * charge
            self._lose(battery.loss_rel, battery.s_max_kva, charge, discharge, beta)
            wear_chf_per_kw = battery.wear_chf_per_kwh * self._dt_h
            self._own_costs.append(wear_chf_per_kw * cp.sum(charge + discharge))
        before = cp.hstack([battery.soc_initial, soc[:-1]])
        per_kw = self._dt_h / battery.energy_kwh
        self.constraints += [soc == before - per_kw * drawn, beta >= -box, beta <= box]
        if battery.capability is Capability.DISC:
            normals, offset = battery.disc_halfplanes()
            self.constraints.append(normals @ cp.vstack([b, beta]) <= offset)
        return b, beta

    def _lose(self, loss_rel: float, s_max_kva: float, *powers: cp.Expression) -> None:
        """Add the price of a converter's loss ℓ (p² + q²)/S over its powers (kW, kvar), each [T]."""
        if loss_rel > 0:
            value_chf = self._tariff.value_chf_per_kwh * self._dt_h
            squares = sum(cp.sum_squares(power) for power in powers)
            self._own_costs.append(value_chf * loss_rel / s_max_kva * squares)


def _largest_kva(site: Site) -> float:
    """Upper bound of the apparent power of load, PV and batteries together in any step."""
    outlook, box = site.outlook, sum(battery.power_box_kw for battery in site.each(Battery))
    reactive_box = box + sum(plant.reactive_box_kvar for plant in site.each(Pv))
    import_kw, export_kw = outlook.load_kw + box, outlook.pv_available_kw + box - outlook.load_kw
    return float(np.hypot(np.maximum(import_kw, export_kw), np.abs(outlook.load_kvar) + reactive_box).max())
