"""The prosumer's problem written a second time, in cvxpy and from method.md, as a reference for :mod:`mpc.prosumer`."""

from collections.abc import Sequence
from typing import Any

import cvxpy as cp
import numpy as np

from core.arrays import FloatArray
from core.prices import PriceSignal, Tariff
from core.resources import Battery, Capability, Pv
from core.scenario import Site

Limits = list[cp.Constraint]
ACCURATE = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}


def least_cost(
    site: Site, tariff: Tariff, dt_h: float, signal: PriceSignal, disc_kva: float | None = None
) -> tuple[FloatArray, float]:
    """Profile x [T, 2] of least advertised cost, and that cost.

    With ``disc_kva`` the capability is the true disc b² + β² ≤ disc_kva² in place of the battery's own limits.
    """
    (p, q), lost_kw, worn_chf_per_h, limits = _demand(site, dt_h, disc_kva)
    spread = tariff.buy_chf_per_kwh - tariff.sell_chf_per_kwh
    value_chf = max(float(np.mean(np.clip(tariff.buy_chf_per_kwh, 0, None))), 0.01) * dt_h
    cost = signal.g[:, 0] @ p + signal.g[:, 1] @ q + signal.fee_chf + dt_h * spread @ cp.neg(p)
    cost += value_chf * lost_kw + dt_h * worn_chf_per_h
    for t in np.flatnonzero(signal.h.any(axis=(1, 2))):
        cost += 0.5 * cp.quad_form(cp.hstack([p[t], q[t]]), cp.psd_wrap(signal.h[t]))
    problem = cp.Problem(cp.Minimize(cost), limits)
    if problem.is_lp():
        problem.solve(solver=cp.HIGHS)
    else:
        problem.solve(solver=cp.CLARABEL, **ACCURATE)
    return np.column_stack([_value(p), _value(q)]), float(problem.value)


def least_throughput_kwh(site: Site, tariff: Tariff, dt_h: float) -> float:
    """Least energy charged and discharged among the schedules of least bill, then of least curtailment."""
    battery, outlook = site.battery, site.outlook
    assert battery is not None
    charge, discharge, g = (cp.Variable(len(outlook.load_kw), nonneg=True) for _ in range(3))
    side = battery.s_max_kva / np.sqrt(2)
    stored = cp.cumsum(battery.efficiency * charge - discharge / battery.efficiency) * dt_h / battery.energy_kwh
    soc = battery.soc_initial + stored
    limits = [charge <= side, discharge <= side, g <= outlook.pv_available_kw]
    limits += [soc >= battery.soc_min, soc <= battery.soc_max]
    p = outlook.load_kw - discharge + charge - g
    bill = tariff.buy_chf_per_kwh @ p + (tariff.buy_chf_per_kwh - tariff.sell_chf_per_kwh) @ cp.neg(p)
    least = 0.0
    for amount in (bill, cp.sum(outlook.pv_available_kw - g), cp.sum(charge + discharge)):
        problem = cp.Problem(cp.Minimize(amount), limits)
        problem.solve(solver=cp.HIGHS)
        least = float(problem.value)
        limits = [*limits, amount <= least + 1e-6]
    return least * dt_h


def _value(expression: cp.Expression) -> FloatArray:
    return np.asarray(expression.value, float)


def _demand(site: Site, dt_h: float, disc_kva: float | None) -> tuple[Any, Any, Any, Limits]:
    """Demand (p, q); sums over the steps of what converters lose (kW) and of what batteries wear (CHF/h); limits."""
    limits: Limits = []
    lost_kw = worn_chf_per_h = cp.Constant(0.0)
    steps = len(site.outlook.load_kw)
    p, q = cp.Constant(site.outlook.load_kw), cp.Constant(site.outlook.load_kvar)
    for plant in site.each(Pv):
        g = cp.Variable(steps, nonneg=True)
        limits.append(g <= plant.available_kw)
        if plant.loss_rel > 0:  # a zero times a square would leave no linear program
            lost_kw += plant.loss_rel * cp.sum_squares(g) / plant.rating_kva
        p = p - g
        if plant.s_max_kva is not None:
            gamma = cp.Variable(steps)
            side = plant.s_max_kva / (np.sqrt(2) if plant.capability is Capability.BOX else 1)
            limits += [g <= side, cp.abs(gamma) <= side]
            if plant.capability is Capability.DISC:
                limits += [edge <= 0 for edge in _beyond_edges(plant.s_max_kva, g, gamma)]
            q = q - gamma
    if battery := site.battery:
        charge, discharge, beta = cp.Variable(steps, nonneg=True), cp.Variable(steps, nonneg=True), cp.Variable(steps)
        stored = cp.cumsum(battery.efficiency * charge - discharge / battery.efficiency) * dt_h / battery.energy_kwh
        soc = battery.soc_initial + stored
        limits += [soc >= battery.soc_min, soc <= battery.soc_max]
        if battery.soc_final_min is not None:
            limits.append(soc[-1] >= battery.soc_final_min)
        limits += _capability(battery, charge, discharge, beta, disc_kva)
        p, q = p - discharge + charge, q - beta
        if battery.loss_rel > 0:
            lost_kw += battery.loss_rel * cp.sum_squares(cp.hstack([charge, discharge, beta])) / battery.s_max_kva
        worn_chf_per_h += battery.wear_chf_per_kwh * cp.sum(charge + discharge)
    if site.rating_kva is not None:
        at_load = _beyond_edges(site.rating_kva, site.outlook.load_kw, site.outlook.load_kvar)
        beyond = _beyond_edges(site.rating_kva, p, q)
        limits += [edge <= np.maximum(load, 0) for edge, load in zip(beyond, at_load, strict=True)]
    return (p, q), lost_kw, worn_chf_per_h, limits


def _capability(
    battery: Battery, charge: cp.Variable, discharge: cp.Variable, beta: cp.Variable, disc_kva: float | None
) -> Limits:
    b = discharge - charge
    if disc_kva is not None:
        return [charge <= disc_kva, discharge <= disc_kva, cp.norm(cp.vstack([b, beta]), axis=0) <= disc_kva]
    if battery.capability is Capability.BOX:
        side = battery.s_max_kva / np.sqrt(2)
        return [charge <= side, discharge <= side, cp.abs(beta) <= side]
    return [
        charge <= battery.s_max_kva,
        discharge <= battery.s_max_kva,
        *(edge <= 0 for edge in _beyond_edges(battery.s_max_kva, b, beta)),
    ]


def _beyond_edges(s_max_kva: float, p: Any, q: Any, corners: int = 32) -> list[Any]:
    """Expressions that are positive beyond an edge of the polygon with its corners on the circle, four of them on the
    axes.
    """
    angle = 2 * np.pi * np.arange(corners + 1) / corners
    x, y = np.cos(angle), np.sin(angle)
    edges: Sequence[int] = range(corners)
    return [(y[k + 1] - y[k]) * (p - s_max_kva * x[k]) - (x[k + 1] - x[k]) * (q - s_max_kva * y[k]) for k in edges]
