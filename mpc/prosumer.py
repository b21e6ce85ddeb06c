"""The prosumer: battery, curtailable PV and load answering a price signal (paper A, eq. 20–22).

Per step the prosumer chooses the battery's discharge b (kW), its reactive power β (kvar), the PV output g (kW)
and, where feed-in earns less than consumption costs, the export e (kW):

    min  Σ_t [½ x_t'H_t x_t + g_t'x_t] + fee + Σ_t (c⁺ − c⁻)_t e_t Δt                (13), (22a)
    x = (p, q),  p = load_p − b − g,  q = load_q − β                                 (22b)
    soc_t = soc_{t−1} − b_t Δt/E,  soc_min ≤ soc ≤ soc_max                           (20a, 20b)
    |b|, |β| ≤ S/√2, or (b, β) in the capability disc                                (20c, 20d)
    0 ≤ g ≤ g_available,  e ≥ −p,  e ≥ 0                                             (21a)

With an efficiency η < 1, b = d − c with c, d ≥ 0 and soc_t = soc_{t−1} + (η c_t − d_t/η) Δt/E. A prosumer has only
the variables that its assets need. The constraints are built once; a new signal changes only the objective.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from core.arrays import FloatArray
from core.plan import ProsumerPlan
from core.prices import DemandProfile, PriceSignal, Tariff
from core.resources import Battery, Capability
from core.scenario import Site
from mpc.solvers.quadratic import PIQP, QuadraticProgram, qp_solver


class PriceResponsive(Protocol):
    """Whatever answers a price signal with a demand profile can take part in the coordination."""

    @property
    def name(self) -> str:
        """Unique among the participants."""
        ...

    def respond(self, signal: PriceSignal) -> DemandProfile:
        """Return the profile of least advertised cost (own costs included), and that cost."""
        ...


@dataclass(frozen=True)
class Variable:
    """One decision per step: its effect on the demand (∂p, ∂q), on the SoC, and its bounds (scalar or [T])."""

    demand: tuple[float, float]
    lower: float | FloatArray
    upper: float | FloatArray
    soc_per_unit: float = 0.0


class Prosumer:
    """A :class:`PriceResponsive` site with battery, PV and load."""

    def __init__(self, site: Site, tariff: Tariff, dt_h: float, solver: str = PIQP) -> None:
        self.name = site.prosumer.name
        self.site = site
        self.tariff = tariff
        self.dt_h = dt_h
        self._x_load = np.column_stack([site.outlook.load_kw, site.outlook.load_kvar])
        self._spread = tariff.export_spread_chf_per_kwh * dt_h
        self._variables = _variables(site, dt_h, two_prices=bool(np.any(self._spread > 0)))
        names = list(self._variables)
        self._m = np.array([self._variables[v].demand for v in names]).reshape(-1, 2).T
        moving = np.flatnonzero(self._m.any(axis=0))
        pairs = [(k, j) for j in moving for k in moving if k <= j]
        self._pairs = tuple(np.array(pairs, int).reshape(-1, 2).T)
        self._own_c = np.zeros((len(self._x_load), len(names)))
        if "export" in names:
            self._own_c[:, names.index("export")] = self._spread
        self._solver = qp_solver(solver, self._program()) if names else None

    def respond(self, signal: PriceSignal) -> DemandProfile:
        """See :class:`PriceResponsive`."""
        x = self._demand(self._decide(signal))
        return DemandProfile(x, signal.cost_chf(x) + self._export_loss_chf(x))

    def plan(self, signal: PriceSignal) -> ProsumerPlan:
        """The own decisions behind :meth:`respond`; they never leave the prosumer."""
        y = self._decide(signal)
        x = self._demand(y)
        of = dict(zip(self._variables, y.T, strict=True))
        zero = np.zeros(len(x))
        charge, discharge = of.get("charge", zero), of.get("discharge", zero)
        return ProsumerPlan(
            p_kw=x[:, 0], q_kvar=x[:, 1],
            battery_kw=discharge - charge,
            battery_kvar=of.get("reactive", zero),
            pv_kw=of.get("pv", zero),
            pv_available_kw=self.site.outlook.pv_available_kw,
            load_kw=self.site.outlook.load_kw, load_kvar=self.site.outlook.load_kvar,
            soc=of.get("soc"),
            simultaneous_kw=float(np.minimum(charge, discharge).max()) if "charge" in of else 0.0,
        )  # fmt: skip

    def retail_cost_chf(self, x: FloatArray) -> float:
        """Cost of the profile x [T, 2] under the tariff alone."""
        return self.tariff.cost_chf(x[:, 0], self.dt_h)

    def retail_signal(self) -> PriceSignal:
        """The tariff as a price signal: what the prosumer faces without coordination."""
        g = np.column_stack([self.tariff.buy_chf_per_kwh * self.dt_h, np.zeros(len(self._x_load))])
        return PriceSignal(np.zeros((len(g), 2, 2)), g, 0.0)

    def _decide(self, signal: PriceSignal) -> FloatArray:
        """Minimiser y [T, variables]."""
        if self._solver is None:
            return np.zeros((len(self._x_load), 0))
        hm = signal.h @ self._m
        p_blocks = self._m.T @ hm
        c = signal.gradient(self._x_load) @ self._m + self._own_c
        return self._solver.solve(p_blocks[:, *self._pairs].ravel(), c.ravel()).reshape(c.shape)

    def _demand(self, y: FloatArray) -> FloatArray:
        return np.asarray(self._x_load + y @ self._m.T)

    def _export_loss_chf(self, x: FloatArray) -> float:
        return float(self._spread @ np.maximum(-x[:, 0], 0))

    def _program(self) -> QuadraticProgram:
        """Constraints with the variables of a step side by side, steps one after the other."""
        steps, names = len(self._x_load), list(self._variables)
        each_step, column = sp.identity(steps, format="csc"), sp.identity(len(names), format="csr")
        unit = {name: column[k] for k, name in enumerate(names)}
        a, b = sp.csc_matrix((0, steps * len(names))), np.zeros(0)
        rows, h = [sp.csc_matrix((0, steps * len(names)))], [np.zeros(0)]
        battery = self.site.prosumer.battery
        if battery is not None:
            change = sp.csr_matrix([[self._variables[name].soc_per_unit for name in names]])
            a = sp.kron(each_step, unit["soc"] - change) - sp.kron(sp.eye(steps, k=-1), unit["soc"])
            b = np.zeros(steps)
            b[0] = battery.soc_initial
            if battery.capability is Capability.DISC:
                normals, offset = battery.disc_halfplanes()
                p_part = unit["discharge"] - unit["charge"] if "charge" in unit else unit["discharge"]
                disc = sp.csr_matrix(normals[:, :1]) @ p_part + sp.csr_matrix(normals[:, 1:]) @ unit["reactive"]
                rows.append(sp.kron(each_step, disc))
                h.append(np.full(steps * len(normals), offset))
        if "export" in unit:
            rows.append(sp.kron(each_step, -unit["export"] - sp.csr_matrix(self._m[:1])))
            h.append(self._x_load[:, 0])
        pattern = sp.csc_matrix((np.ones(len(self._pairs[0])), self._pairs), shape=(len(names), len(names)))
        bounds = [
            np.column_stack([np.broadcast_to(getattr(v, side), steps) for v in self._variables.values()]).ravel()
            for side in ("lower", "upper")
        ]
        return QuadraticProgram(
            sp.kron(each_step, pattern, format="csc"),
            a.tocsc(), b, sp.vstack(rows, format="csc"), np.concatenate(h), *bounds,
        )  # fmt: skip


def _variables(site: Site, dt_h: float, two_prices: bool) -> dict[str, Variable]:
    variables: dict[str, Variable] = {}
    battery, steps = site.prosumer.battery, len(site.outlook.load_kw)
    if battery is not None:
        box, eta, per_kw = battery.power_box_kw, battery.efficiency, dt_h / battery.energy_kwh
        lossless = eta == 1.0
        if not lossless:
            variables["charge"] = Variable((1, 0), 0, box, eta * per_kw)
        variables["discharge"] = Variable((-1, 0), -box if lossless else 0, box, -per_kw / eta)
        variables["reactive"] = Variable((0, -1), -box, box)
    if site.prosumer.pv is not None:
        variables["pv"] = Variable((-1, 0), 0, site.outlook.pv_available_kw)
    if two_prices:
        variables["export"] = Variable((0, 0), 0, np.inf)
    if battery is not None:
        variables["soc"] = Variable((0, 0), _soc_floor(battery, steps), battery.soc_max)
    return variables


def _soc_floor(battery: Battery, steps: int) -> FloatArray:
    floor = np.full(steps, battery.soc_min)
    if battery.soc_final_min is not None:
        floor[-1] = max(battery.soc_min, battery.soc_final_min)
    return floor
