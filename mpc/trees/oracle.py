"""An oracle for trees: what profiles of the leaves cost, and whether they are possible and keep all limits.

It knows the data alone, and neither the coordination nor its solvers. From a profile and the load of a site follow the
powers of its battery, from these its state of charge, and from all of that the bill, the loss and every limit:

    b = load_p − p,  β = load_q − q      soc_t = soc_{t−1} − (d/η − η c) Δt/E,  d = max(b, 0),  c = max(−b, 0)
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.hierarchy import BranchRow
from core.prices import Tariff
from core.resources import Battery, Load
from core.scenario import Site
from mpc.trees.reference import all_rows
from mpc.trees.scenario import TreeScenario

SOC_TOLERANCE = 1e-5
POWER_TOLERANCE_KW = 1e-5
SMALLEST_SHARE = 0.1
"""An excess is compared with the limit of its step, but with no less than this share of the row's largest limit."""


@dataclass(frozen=True)
class TreeVerdict:
    """What profiles of all leaves mean.

    Attributes:
        objective_chf: bills, losses and wear of all leaves, and the root's own objective.
        unheld_chf: priced violation.
        turnover_chf: Σ |c p| Δt.
        violation_rel: largest excess of a limit relative to its scale; ``worst`` names branch and row.
        impossible: a line for each leaf whose profile its battery cannot follow.
    """

    objective_chf: float
    unheld_chf: float
    turnover_chf: float
    violation_rel: float
    worst: str
    impossible: tuple[str, ...]


def judge(tree: TreeScenario, x: Mapping[str, FloatArray], violation_price_chf_per_kwh: float) -> TreeVerdict:
    """Judge the profiles x of all leaves, kW and kvar, [T, 2].

    Raises:
        ValueError: a site has other resources than one load and at most one battery, so that its profile does not tell
            what each does.
    """
    problem = tree.problem
    dt_h, tariff, hierarchy = problem.axis.dt_h, problem.tariff, problem.hierarchy
    sums = dict(x)
    for branch in reversed(hierarchy.top_down):
        sums[branch.name] = np.sum([sums[child] for child in hierarchy.children[branch.name]], axis=0)
    excesses = {f"{b.name}.{row.name}": _excess(row, sums) for b in hierarchy.branches for row in all_rows(b)}
    relative = {name: float((excess / scale).max()) for name, (excess, scale, _) in excesses.items()}
    worst = max(relative, key=lambda name: relative[name], default="")
    unheld_kw = sum(float((excess / unit).sum()) for excess, _, unit in excesses.values())
    turnover = sum(np.abs(tariff.buy_chf_per_kwh * x[site.name][:, 0]) for site in tree.sites)
    off_target = sums[hierarchy.root.name][:, 0] - problem.target
    cost_chf = sum(_cost_chf(site, x[site.name], tariff, dt_h) for site in tree.sites)
    return TreeVerdict(
        objective_chf=cost_chf + problem.peak_weight_per_kw2 / 2 * float(off_target @ off_target),
        unheld_chf=violation_price_chf_per_kwh * dt_h * unheld_kw,
        turnover_chf=float(np.sum(turnover)) * dt_h,
        violation_rel=relative.get(worst, 0.0),
        worst=worst,
        impossible=tuple(line for site in tree.sites for line in _impossible(site, x[site.name], dt_h)),
    )


def _excess(row: BranchRow, sums: Mapping[str, FloatArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """By how much a row is violated, ≥ 0, what that is compared with, and its largest coefficient; each [T]."""
    steps = len(next(iter(sums.values())))
    value, unit, limit, excess = np.zeros((4, steps))
    for child, a in row.coefficients.items():
        value = value + (a * sums[child]).sum(axis=1)
        unit = np.maximum(unit, np.abs(a).max(axis=-1))
    for bound, sign in ((row.upper, 1.0), (row.lower, -1.0)):
        if bound is not None:
            excess = np.maximum(excess, sign * (value - bound))
            limit = np.maximum(limit, np.abs(bound))
    scale = np.maximum(limit, SMALLEST_SHARE * limit.max()) if row.scale is None else np.full(steps, row.scale)
    return excess, np.where(scale > 0, scale, 1.0), np.where(unit > 0, unit, 1.0)


def _cost_chf(site: Site, x: FloatArray, tariff: Tariff, dt_h: float) -> float:
    """Bill, loss and wear of a profile."""
    load, battery = _resources(site)
    cost_chf = tariff.cost_chf(x[:, 0], dt_h)
    if battery is None:
        return cost_chf
    b, beta = load.p_kw - x[:, 0], load.q_kvar - x[:, 1]
    loss_kwh = float(battery.loss_rel / battery.s_max_kva * (b @ b + beta @ beta)) * dt_h
    return cost_chf + tariff.value_chf_per_kwh * loss_kwh + battery.wear_chf_per_kwh * float(np.abs(b).sum()) * dt_h


def _impossible(site: Site, x: FloatArray, dt_h: float) -> Iterator[str]:
    """Why the battery of a site cannot follow the profile."""
    load, battery = _resources(site)
    b, beta = load.p_kw - x[:, 0], load.q_kvar - x[:, 1]
    box_kw = 0.0 if battery is None else battery.power_box_kw
    beyond_kw = max(float(np.abs(b).max()), float(np.abs(beta).max())) - box_kw
    if beyond_kw > POWER_TOLERANCE_KW:
        yield f"{site.name}: its battery gives {beyond_kw:.2g} kW more than it can"
    if battery is None:
        return
    drawn_kwh = (np.maximum(b, 0) / battery.efficiency - battery.efficiency * np.maximum(-b, 0)) * dt_h
    soc = battery.soc_initial - np.cumsum(drawn_kwh) / battery.energy_kwh
    floor, ceiling = battery.soc_band(len(soc), dt_h)
    if (beyond := float(np.maximum(floor - soc, soc - ceiling).max())) > SOC_TOLERANCE:
        yield f"{site.name}: its state of charge leaves the band by {beyond:.2g}"


def _resources(site: Site) -> tuple[Load, Battery | None]:
    (load,), batteries = site.each(Load), site.each(Battery)
    if len(site.resources) != 1 + len(batteries):
        raise ValueError(f"{site.name}: the oracle knows one load and at most one battery")
    return load, site.battery
