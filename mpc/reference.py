"""The centralised optimum with all data in one program: the reference for distributed results, not used for control.

    min  Σ_i f_i(x_i) + κ'e   s.t. every prosumer's constraints (paper A, 20–22),  l − e ≤ A x ≤ u + e

in cvxpy, written independently of :mod:`mpc.prosumer`; f_i is the bill with the cost of losses and wear. For one
linearisation, and without losses, this is a linear program. Its solutions jump between vertices from one linearisation
to the next, so the AC-consistent optimum is a sequence of programs with a proximal term γ/2 ‖x − x_k‖², each linearised
around the last solution, until linearisation and cost converge.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from core.arrays import FloatArray
from core.errors import Fault, InputError, SolverError
from core.resources import Battery, Capability, Load, Pv, inscribed_polygon
from core.scenario import Scenario, Site
from mpc.grid.power_flow import Flow
from mpc.grid.rows import GridModel, Rows, Violation, by_step
from mpc.solvers.convex import solve

AC_TOLERANCE_PU = 1e-5
COST_TOLERANCE_REL = 1e-5
PROXIMAL_REL = 0.003
"""γ relative to (mean |tariff| Δt) per kW."""
MAX_ROUNDS = 50


@dataclass(frozen=True)
class Optimum:
    """A centralised optimum: profiles x [N, T, 2], their cost (bills, losses and wear), and the priced violation of
    limits that cannot be held.
    """

    x: FloatArray
    cost_chf: float
    unheld_chf: float
    rounds: int


@dataclass(frozen=True)
class AcOptimum(Optimum):
    """An optimum that is consistent with AC power flow; ``rows`` is its own linearisation."""

    rows: Rows
    flow: Flow
    violation: Violation


class CentralisedProblem:
    """All prosumers and the grid in one program; ``options`` are those of the solver, such as tolerances.

    Raises:
        InputError: a site has a resource without a model in this module.
    """

    def __init__(
        self, scenario: Scenario, solver: str = "clarabel", options: Mapping[str, float] | None = None
    ) -> None:
        self.scenario = scenario
        self._solver, self._options = solver, options or {}
        self._constraints: list[cp.Constraint] = []
        self._own_costs: list[cp.Expression] = []
        profiles = [self._profile(site) for site in scenario.sites]
        self._x_by_step = cp.vstack([part for profile in profiles for part in profile]).T
        dt_h, tariff = scenario.axis.dt_h, scenario.tariff
        p = sum(p for p, _ in profiles)
        export = sum(cp.neg(p) for p, _ in profiles)
        cost = tariff.buy_chf_per_kwh @ p
        if np.any(tariff.export_spread_chf_per_kwh > 0):
            cost = cost + tariff.export_spread_chf_per_kwh @ export
        for site, (own, _) in zip(scenario.sites, profiles, strict=True):
            cost = cost + tariff.premium_chf_per_kwh(site.net_load_kw) @ own
        self._cost = cost * dt_h + sum(self._own_costs)

    def uncoordinated(self) -> Optimum:
        """Sum of the prosumers' own optima; the grid is ignored."""
        return self._solve(self._cost, [], 0.0)

    def optimum(self, rows: Rows, around: FloatArray | None = None, gamma: float = 0.0) -> Optimum:
        """Optimum under one linearisation, with a proximal term around profiles [N, T, 2] if ``gamma`` > 0.

        Raises:
            SolverError: the solver found none.
        """
        ax = sp.block_diag(list(rows.a), format="csr") @ cp.vec(self._x_by_step, order="C")
        e = cp.Variable(rows.lower.size, nonneg=True)
        unheld = rows.kappa.ravel() @ e
        objective = self._cost + unheld
        if around is not None and gamma > 0:
            objective += gamma / 2 * cp.sum_squares(self._x_by_step - by_step(around))
        return self._solve(objective, [ax <= rows.upper.ravel() + e, ax >= rows.lower.ravel() - e], unheld)

    def ac_optimum(self, grid: GridModel, gamma: float | None = None) -> AcOptimum:
        """Successive linear programs with a proximal term, until linear and AC power flow agree.

        Raises:
            SolverError: a program was not solved, or the sequence did not converge.
        """
        price = float(np.abs(self.scenario.tariff.buy_chf_per_kwh).mean()) * self.scenario.axis.dt_h
        gamma = PROXIMAL_REL * price if gamma is None else gamma
        best = self.uncoordinated()
        for k in range(1, MAX_ROUNDS + 1):
            rows = grid.linearise(best.x)
            before, best = best, self.optimum(rows, best.x, gamma)
            flow = grid.flow(best.x)
            error = grid.linearisation_error_pu(rows, best.x, flow)
            moved = abs(best.cost_chf - before.cost_chf) / max(abs(best.cost_chf), price)
            if error < AC_TOLERANCE_PU and moved < COST_TOLERANCE_REL:
                return AcOptimum(best.x, best.cost_chf, best.unheld_chf, k, rows, flow, grid.violation(flow))
        raise SolverError(f"the AC-consistent reference did not come to rest in {MAX_ROUNDS} linearisations")

    def _solve(
        self, objective: cp.Expression, constraints: list[cp.Constraint], unheld: cp.Expression | float
    ) -> Optimum:
        problem = cp.Problem(cp.Minimize(objective), self._constraints + constraints)
        solve(problem, self._solver, self._options)
        x = np.asarray(self._x_by_step.value).reshape(self.scenario.axis.n_steps, -1, 2).swapaxes(0, 1)
        unheld_chf = float(unheld.value) if isinstance(unheld, cp.Expression) else unheld
        return Optimum(x, float(self._cost.value), unheld_chf, 1)

    def _profile(self, site: Site) -> tuple[cp.Expression, cp.Expression]:
        """Demand (p, q) of a site, each [T]; its constraints are appended to those of the program."""
        steps = self.scenario.axis.n_steps
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
            self._constraints.append(normals @ cp.vstack([p, q]) <= np.maximum(offset, normals @ load))
        return p, q

    def _pv(self, pv: Pv) -> tuple[cp.Expression, cp.Expression]:
        """Output g and reactive power γ, each [T]; constraints are appended to those of the program."""
        steps = self.scenario.axis.n_steps
        g = cp.Variable(steps, bounds=[0, pv.available_kw])
        if pv.s_max_kva is None:
            self._lose(pv.loss_rel, pv.rating_kva, g)
            return g, cp.Constant(np.zeros(steps))
        gamma = cp.Variable(steps)  # bounded by constraints, as the reactive power of a battery
        self._lose(pv.loss_rel, pv.rating_kva, g, gamma)
        self._constraints += [gamma >= -pv.reactive_box_kvar, gamma <= pv.reactive_box_kvar]
        if pv.capability is Capability.DISC:
            normals, offset = inscribed_polygon(pv.s_max_kva)
            self._constraints.append(normals @ cp.vstack([g, gamma]) <= offset)
        return g, gamma

    def _battery(self, battery: Battery) -> tuple[cp.Expression, cp.Expression]:
        """Discharge b and reactive power β, each [T]; constraints are appended to those of the program."""
        steps, box, eta = self.scenario.axis.n_steps, battery.power_box_kw, battery.efficiency
        floor, ceiling = battery.soc_band(steps, self.scenario.axis.dt_h)
        beta = cp.Variable(steps)  # bounded by constraints: without the grid it would drop out of the program
        soc = cp.Variable(steps, bounds=[floor, ceiling])
        if eta == 1.0 and battery.wear_chf_per_kwh == 0.0:
            b = drawn = cp.Variable(steps, bounds=[-box, box])
            self._lose(battery.loss_rel, battery.s_max_kva, b, beta)
        else:
            charge, discharge = cp.Variable(steps, bounds=[0, box]), cp.Variable(steps, bounds=[0, box])
            b, drawn = discharge - charge, discharge / eta - eta * charge
            self._lose(battery.loss_rel, battery.s_max_kva, charge, discharge, beta)
            wear_chf_per_kw = battery.wear_chf_per_kwh * self.scenario.axis.dt_h
            self._own_costs.append(wear_chf_per_kw * cp.sum(charge + discharge))
        before = cp.hstack([battery.soc_initial, soc[:-1]])
        per_kw = self.scenario.axis.dt_h / battery.energy_kwh
        self._constraints += [soc == before - per_kw * drawn, beta >= -box, beta <= box]
        if battery.capability is Capability.DISC:
            normals, offset = battery.disc_halfplanes()
            self._constraints.append(normals @ cp.vstack([b, beta]) <= offset)
        return b, beta

    def _lose(self, loss_rel: float, s_max_kva: float, *powers: cp.Expression) -> None:
        """Add the price of a converter's loss ℓ (p² + q²)/S over its powers (kW, kvar), each [T]."""
        if loss_rel > 0:
            value_chf = self.scenario.tariff.value_chf_per_kwh * self.scenario.axis.dt_h
            squares = sum(cp.sum_squares(power) for power in powers)
            self._own_costs.append(value_chf * loss_rel / s_max_kva * squares)


def _largest_kva(site: Site) -> float:
    """Upper bound of the apparent power of load, PV and batteries together in any step."""
    outlook, box = site.outlook, sum(battery.power_box_kw for battery in site.each(Battery))
    reactive_box = box + sum(plant.reactive_box_kvar for plant in site.each(Pv))
    import_kw, export_kw = outlook.load_kw + box, outlook.pv_available_kw + box - outlook.load_kw
    return float(np.hypot(np.maximum(import_kw, export_kw), np.abs(outlook.load_kvar) + reactive_box).max())
