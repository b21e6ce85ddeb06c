"""The grid's limits as linear rows l ≤ A x ≤ u around a power flow (paper A, eq. 23–25).

Rows of a step, for the demand x = (p, q) of the N prosumers:

    v_min ≤ |V|_n ≤ v_max                                       every node but the slack               (24)
    |P_slack| ≤ S_max pf,  |Q_slack| ≤ S_max √(1 − pf²)         the slack                              (25)
    |component of I_line along d| ≤ I_max cos(π/16)             lines with a limit, 8 directions d

A current is a phasor and |I| has no derivative at zero: the disc |I| ≤ I_max becomes the regular 16-gon inside it, on
the safe side by at most 2 %. Its directions are fixed; a tangent that follows the current's own direction turns from
one linearisation to the next and never settles (docs/decisions/0003-line-current-polygon.md).

Every row is two-sided and divided by its norm (equilibrated), so that multipliers of voltages, currents and powers
have one scale. Before that, quantities are made comparable: a voltage counts in p.u., a power as one tenth of its
share of S_max, a current likewise of I_max; 0.05 kvar at 25 kVA then weighs as much as 2e-4 p.u. of voltage.
"""

from copy import copy
from dataclasses import dataclass, fields, replace

import numpy as np

from core.arrays import FloatArray
from core.problem import Problem
from mpc.grid.power_flow import ComplexArray, Flow, PowerFlow, Sensitivities

PU_PER_RATING = 0.1
DIRECTIONS = np.exp(1j * np.pi * np.arange(8) / 8)
"""Unit phasors along which a line current is limited; both signs of each make the 16-gon."""
INSIDE_DISC = float(np.cos(np.pi / 16))
NO_INFLUENCE = 1e-9
"""A row of smaller norm (p.u. per kW) cannot be influenced by any prosumer: it is not scaled, and its price is 0."""


@dataclass(frozen=True)
class Rows:
    """Linear rows of all steps around one power flow.

    Attributes:
        a: [T, R, 2N], equilibrated; columns p_1, q_1, p_2, q_2, …
        lower, upper: [T, R], in the unit of a x (kW).
        norm: [T, R], comparable p.u. per unit of a row.
        offset: [T, R]; a row's quantity in comparable p.u. is (a x − offset) · norm.
        kappa: [T, R], price of leaving a row by one unit, CHF/kW.
    """

    a: FloatArray
    lower: FloatArray
    upper: FloatArray
    norm: FloatArray
    offset: FloatArray
    kappa: FloatArray

    def value(self, x: FloatArray) -> FloatArray:
        """A x of the profiles x [N, T, 2], [T, R]."""
        return np.asarray(self.a @ by_step(x)[:, :, None])[:, :, 0]

    def excess(self, value: FloatArray) -> FloatArray:
        """By how much each row is violated, ≥ 0, [T, R]."""
        return np.maximum(np.maximum(self.lower - value, value - self.upper), 0)

    def shadow_cost(self, row_prices: FloatArray) -> float:
        """Support function of the rows: u'λ⁺ − l'λ⁻ for row prices λ [T, R] (positive at the upper side)."""
        return float(np.sum(np.where(row_prices > 0, self.upper, self.lower) * row_prices))

    def per_prosumer(self) -> FloatArray:
        """Columns of each prosumer, A_i, [N, T, R, 2]."""
        return np.moveaxis(self.a.reshape(*self.a.shape[:2], -1, 2), 2, 0)

    def contributions(self, x: FloatArray) -> FloatArray:
        """A_i x_i of each prosumer, [N, T, R]."""
        return np.asarray(np.einsum("ntrc,ntc->ntr", self.per_prosumer(), x))

    def after(self, steps: int) -> "Rows":
        """The rows from step ``steps`` on."""
        return Rows(*(getattr(self, f.name)[steps:] for f in fields(self)))

    def unheld_pu(self, excess: FloatArray) -> float:
        """Largest excess in comparable p.u."""
        return float((excess * self.norm).max())

    def to_profiles(self, row_prices: FloatArray) -> FloatArray:
        """A'λ, the prices of the profiles, [N, T, 2]."""
        return by_prosumer(np.einsum("trk,tr->tk", self.a, row_prices))


@dataclass(frozen=True)
class Violation:
    """Worst violations under AC power flow, ≥ 0; ``worst_pu`` is their maximum on the comparable scale of the rows."""

    v_pu: float
    slack_p_kw: float
    slack_q_kvar: float
    line_a: float
    worst_pu: float


class GridModel:
    """The grid operator's knowledge: network, limits, slack voltage, and the nodes of the prosumers."""

    def __init__(self, problem: Problem, violation_price_chf_per_kwh: float) -> None:
        network, limits = problem.network, problem.limits
        n_nodes = len(network.nodes) - 1
        at = np.array([network.index(node) - 1 for node in problem.nodes.values()])
        limited = [(k, line.i_max_a) for k, line in enumerate(network.lines) if line.i_max_a is not None]
        self.problem = problem
        self.power_flow = PowerFlow(network)
        self._price_cap = violation_price_chf_per_kwh * problem.axis.dt_h
        self._nodes, self._column = np.unique(at, return_inverse=True)
        self._incidence = np.eye(n_nodes)[at]
        self._limited = np.array([k for k, _ in limited], int)
        self._i_max = np.array([i_max_a for _, i_max_a in limited])

        i_max = np.repeat(self._i_max, len(DIRECTIONS))
        per_kva = np.full(2, PU_PER_RATING / limits.slack_s_max_kva)
        self._per_unit = np.concatenate([np.ones(n_nodes), per_kva, PU_PER_RATING / i_max])
        self._slack_q_max_kvar = limits.slack_q_max_kvar - problem.reactive_margin_kvar
        bounds = np.concatenate([[limits.slack_p_max_kw, self._slack_q_max_kvar], INSIDE_DISC * i_max])
        self._v_max_pu = np.full(n_nodes, limits.v_max_pu) - problem.margin_pu
        self._v_min_pu = np.full(n_nodes, limits.v_min_pu) + problem.margin_pu
        self._upper_pu = np.concatenate([self._v_max_pu, bounds]) * self._per_unit
        self._lower_pu = np.concatenate([self._v_min_pu, -bounds]) * self._per_unit

    def flow(self, x: FloatArray) -> Flow:
        """AC power flow of the profiles x [N, T, 2]."""
        return self.power_flow.solve(self._injections(x), self.problem.slack_voltage_pu)

    def at_supply(self, slack_voltage_pu: FloatArray) -> "GridModel":
        """The same grid at another voltage of the slack, [T]."""
        other = copy(self)
        other.problem = replace(self.problem, slack_voltage_pu=slack_voltage_pu)
        return other

    def linearise(self, x: FloatArray) -> Rows:
        """Rows around the power flow of x; in steps where it has no solution, around x halved until it has one."""
        flow = self.flow(x)
        while not flow.solved.all():
            x = np.where(flow.solved[None, :, None], x, x / 2)
            flow = self.flow(x)
        a = self._jacobian(self.power_flow.sensitivities(self._injections(x), flow, self._nodes, self._limited))
        norm = np.linalg.norm(a, axis=2)
        idle = norm < NO_INFLUENCE
        norm[idle] = 1.0
        a /= norm[:, :, None]
        offset = (a @ by_step(x)[:, :, None])[:, :, 0] - self.quantities(flow) / norm
        return Rows(
            a=a,
            lower=self._lower_pu / norm + offset,
            upper=self._upper_pu / norm + offset,
            norm=norm,
            offset=offset,
            kappa=np.where(idle, 0.0, self._price_cap / np.where(idle, 1.0, np.abs(a).max(axis=2))),
        )

    def voltage_per_demand(self, rows: Rows) -> FloatArray:
        """∂|V| at each prosumer's node by the demand of each prosumer, p.u. per kW and kvar, [T, N, N, 2]."""
        return self.nodal_voltage_per_demand(rows)[:, self._nodes[self._column]]

    def nodal_voltage_per_demand(self, rows: Rows) -> FloatArray:
        """∂|V| at each node but the slack by the demand of each prosumer, p.u. per kW and kvar, [T, n, N, 2]."""
        n = len(self._v_max_pu)
        nodal: FloatArray = rows.a[:, :n] * rows.norm[:, :n, None]
        return nodal.reshape(*nodal.shape[:2], -1, 2)

    def linearisation_error_pu(self, rows: Rows, x: FloatArray, flow: Flow) -> float:
        """(19): largest |linear − AC| over all rows at the profiles x with the power flow ``flow``."""
        linear = (rows.value(x) - rows.offset) * rows.norm
        return float(np.abs(linear - self.quantities(flow)).max())

    def violation(self, flow: Flow) -> Violation:
        """Worst violation of each kind of limit, with the margins of the problem."""
        limits, v, slack = self.problem.limits, np.abs(flow.v), flow.s_slack
        v_pu = np.maximum(self._v_min_pu - v, v - self._v_max_pu).max()
        slack_p_kw = (np.abs(slack.real) - limits.slack_p_max_kw).max()
        slack_q_kvar = (np.abs(slack.imag) - self._slack_q_max_kvar).max()
        overload_a = np.abs(flow.i[:, self._limited]) - self._i_max
        slack_pu = PU_PER_RATING * max(slack_p_kw, slack_q_kvar) / limits.slack_s_max_kva
        line_pu = PU_PER_RATING * (overload_a / self._i_max).max(initial=0)
        return Violation(
            v_pu=max(float(v_pu), 0.0),
            slack_p_kw=max(float(slack_p_kw), 0.0),
            slack_q_kvar=max(float(slack_q_kvar), 0.0),
            line_a=float(overload_a.max(initial=0)),
            worst_pu=max(float(v_pu), float(slack_pu), float(line_pu), 0.0),
        )

    def _injections(self, x: FloatArray) -> ComplexArray:
        """Nodal injections [T, nodes] of the demands x; several prosumers may share a node."""
        return np.asarray(-(x[:, :, 0] + 1j * x[:, :, 1]).T @ self._incidence)

    def quantities(self, flow: Flow) -> FloatArray:
        """Constrained quantities in comparable p.u., in the order of the rows, [T, R]."""
        power = np.column_stack([flow.s_slack.real, flow.s_slack.imag])
        quantities = np.hstack([np.abs(flow.v), power, along_directions(flow.i[:, self._limited])])
        return np.asarray(quantities * self._per_unit)

    def _jacobian(self, s: Sensitivities) -> FloatArray:
        """∂ quantities / ∂ x, [T, R, 2N]."""
        power = np.stack([s.s_slack.real, s.s_slack.imag], axis=1)
        nodal = np.concatenate([s.v, power, along_directions(s.i)], axis=1) * self._per_unit[:, None, None]
        a: FloatArray = nodal[:, :, self._column].reshape(*nodal.shape[:2], -1)
        return a


def along_directions(current: ComplexArray) -> FloatArray:
    """Components of phasors [T, L, …] along the eight directions, [T, 8 L, …]."""
    parts: FloatArray = np.moveaxis(np.multiply.outer(current, np.conj(DIRECTIONS)).real, -1, 2)
    return parts.reshape(len(current), -1, *current.shape[2:])


def by_step(x: FloatArray) -> FloatArray:
    """[N, T, 2] → [T, 2N]."""
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)


def by_prosumer(x: FloatArray) -> FloatArray:
    """[T, 2N] → [N, T, 2]."""
    return x.reshape(len(x), -1, 2).swapaxes(0, 1)
