"""The prosumer: its resources answering a price signal (paper A, eq. 20–22).

Each resource is a block with variables y_r per step (:mod:`mpc.resources`): a battery its discharge b and reactive
power β, a PV plant its output g and reactive power γ, a load none. Where feed-in earns less than consumption costs, the
export e (kW) is one more:

    min  Σ_t [½ x_t'H_t x_t + g_t'x_t] + fee + Σ_r own cost_r(y_r) + Σ_t (c⁺ − c⁻)_t e_t Δt    (13), (22a)
    x = Σ_r (fixed_r + M_r y_r),   that is  p = load_p − b − g,  q = load_q − β − γ            (22b)
    rows and bounds of every block                                                             (20, 21)
    e ≥ −p,  e ≥ 0                                                                             (21a)
    c⁺ is c⁻ where feed-in earns more and the site feeds in without flexibility                :mod:`core.prices`
    |x_t| within the rating of the converters, where x could exceed it                         :mod:`mpc.rating`

Among equal optima a tie-break chooses the one with the least curtailment, then the least throughput of batteries:
weights of 1e-4 and 1e-5 of the mean price, which no cost contains. Where this program charges and discharges a
battery at once, each such step is restricted to one direction (:mod:`mpc.directions`), and the program is a relaxation,
whose cost is told as well. Directions that have changed often are kept, so that prices come to rest.

The variables of a step stand side by side: what moves the demand, the export, then states such as the state of charge;
the steps follow one another. The constraints are built once; a new signal changes only the objective.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce

import numpy as np
import scipy.sparse as sp

from core.arrays import BoolArray, FloatArray
from core.errors import SolverError
from core.plan import ProsumerPlan, ResourcePlan
from core.prices import DemandProfile, PriceSignal, Tariff
from core.scenario import Scenario, Site
from mpc.directions import AT_ONCE_REL, alternating, closed, net, pairs, rounded
from mpc.rating import rating_rows
from mpc.resources.block import Block, Row, Variable
from mpc.resources.matching import block
from mpc.solvers.quadratic import PIQP, QuadraticProgram, qp_solver

EXPORT = "export"
TIE_REL = 1e-5
"""Weight of a kWh of throughput in the choice between optima, relative to the mean price; it is no cost."""
NOISE_REL = 1e-3
"""Share of the value of energy that the mean price counts at least: a smaller one is none, but for the tie-break."""
CLOSED_REL = 1e-7
"""What a closed variable may have of its bound: an interior point needs some room."""
HELD_KVA = 1e-7
"""Excess of a row that counts as none."""
PASSES = 3
"""Solutions with more and more steps restricted to one direction, before all are."""
CHANGES = 20
"""Answers with other directions than the one before, after which a prosumer keeps those that it has (ours)."""


@dataclass(frozen=True)
class _Decision:
    """Decisions y, those of the program that knows no exclusions, and the variables that were closed: all [T, K]."""

    y: FloatArray
    relaxed: FloatArray
    closed: BoolArray


class ProsumerProgram:
    """A :class:`mpc.coordination.participants.Participant`: one quadratic program over all resources of a site."""

    def __init__(self, site: Site, tariff: Tariff, dt_h: float, solver: str = PIQP) -> None:
        self.name = site.name
        self.site, self.tariff, self.dt_h = site, tariff, dt_h
        self._spread = tariff.export_spread_chf_per_kwh * dt_h
        premium = tariff.premium_chf_per_kwh(site.net_load_kw) * dt_h
        self._premium = np.column_stack([premium, np.zeros_like(premium)])
        steps = len(self._spread)
        value = tariff.value_chf_per_kwh
        self._blocks = {name: block(resource, steps, dt_h, value) for name, resource in site.resources.items()}
        self._x_fixed: FloatArray = reduce(np.add, [each.fixed for each in self._blocks.values()])
        self._variables = _variables(self._blocks, self._spread)
        self._m = np.array([v.demand for v in self._variables.values()]).reshape(-1, 2).T
        self._own_c, self._own_h = np.zeros((2, steps, len(self._variables)))
        for column, variable in enumerate(self._variables.values()):
            self._own_c[:, column], self._own_h[:, column] = variable.cost_chf, variable.curvature_chf
        self._ties = np.array([variable.tie for variable in self._variables.values()])
        self._upper = _side(self._variables, "upper", steps)
        self._at_once = pairs(self._variables)
        self._held = np.zeros((steps, len(self._variables)), bool)
        self._changes = 0
        self._kept: dict[bytes, BoolArray] = {}
        curved = np.flatnonzero(self._m.any(axis=0) | self._own_h.any(axis=0))
        upper = [(k, j) for j in curved for k in curved if k <= j]
        self._pattern = tuple(np.array(upper, int).reshape(-1, 2).T)
        program = self._program() if self._variables else None
        self._solver = qp_solver(solver, program) if program else None
        self._inequalities = (program.g, program.h) if program else None

    def respond(self, signal: PriceSignal) -> DemandProfile:
        """See :class:`mpc.coordination.participants.Participant`."""
        curved = bool(signal.h.any())
        if curved and self._changes >= CHANGES:
            self._kept.setdefault(signal.g.tobytes(), self._held)
        answer = self._decide(signal)
        cost_chf, relaxed_chf = self._cost_chf(signal, answer.y), self._cost_chf(signal, answer.relaxed)
        restricted_chf = relaxed_chf
        if curved:
            self._changes += int(np.any(answer.closed != self._held))
            self._held = answer.closed
        elif self._held.any():
            with suppress(SolverError):  # the bound of the relaxation holds in any case
                restricted_chf = self._cost_chf(signal, self._solved(signal, self._held))
        return DemandProfile(self._demand(answer.y), cost_chf, cost_chf - restricted_chf, cost_chf - relaxed_chf)

    def plan(self, signal: PriceSignal) -> ProsumerPlan:
        """See :class:`mpc.coordination.participants.Participant`."""
        y = self._decide(signal).y
        x = self._demand(y)
        return ProsumerPlan(x[:, 0], x[:, 1], self._plans(y))

    def _decide(self, signal: PriceSignal) -> "_Decision":
        """The best decisions under the signal that physics allows, as far as known (:mod:`mpc.directions`)."""
        none = np.zeros(self._own_c.shape, bool)
        relaxed = self._solved(signal, none)
        kept = self._kept.get(signal.g.tobytes())
        if kept is not None and (decision := self._one_directional(signal, relaxed, kept)):
            return decision
        if not any(pair.mixed(relaxed).any() for pair in self._at_once):
            return _Decision(relaxed, relaxed, none)
        shut = closed(relaxed, self._at_once, net)
        ways = (shut, closed(relaxed, self._at_once, alternating))
        found = [self._one_directional(signal, relaxed, way) for way in ways]
        found += [_Decision(y, relaxed, shut) for y in (rounded(relaxed, self._at_once),) if self._holds(y)]
        if not any(found):
            return _Decision(self._solved(signal, shut), relaxed, shut)
        return min(filter(None, found), key=lambda decision: self._cost_chf(signal, decision.y))

    def _one_directional(self, signal: PriceSignal, relaxed: FloatArray, shut: BoolArray) -> "_Decision | None":
        """The best decisions with the variables ``shut`` closed; if steps mix then, these are restricted too, and in
        the end all.

        None if the solver finds nothing then, as when alternating misses a final state of charge.
        """
        try:
            y = self._solved(signal, shut)
            for tolerance in (*(AT_ONCE_REL,) * PASSES, 0.0):
                if not any(pair.mixed(y).any() for pair in self._at_once):
                    break
                shut = shut | closed(y, self._at_once, net, tolerance)
                y = self._solved(signal, shut)
        except SolverError:
            return None
        return _Decision(y, relaxed, shut)

    def _holds(self, y: FloatArray) -> bool:
        """Whether decisions keep the inequalities of the program, among them capability and rating; whatever they
        export.
        """
        if self._inequalities is None:
            return True
        g, h = self._inequalities
        if EXPORT in self._variables:
            exported = np.array([name == EXPORT for name in self._variables])
            kw = np.maximum(-(self._x_fixed[:, :1] + y @ self._m[:1].T), 0)
            y = np.where(exported, kw, y)
        return bool(np.all(g @ y.ravel() <= h + HELD_KVA))

    def _solved(self, signal: PriceSignal, closed: BoolArray) -> FloatArray:
        """Minimiser y [T, variables] under the signal, with the ``closed`` variables at zero."""
        if self._solver is None:
            return np.zeros((len(self._x_fixed), 0))
        hm = signal.h @ self._m
        p_blocks = self._m.T @ hm + self._own_h[:, :, None] * np.identity(len(self._variables))
        c = (signal.gradient(self._x_fixed) + self._premium) @ self._m + self._own_c + self._tie(signal)
        upper = np.where(closed, CLOSED_REL, 1.0) * self._upper
        try:
            return self._solver.solve(p_blocks[:, *self._pattern].ravel(), c.ravel(), upper.ravel()).reshape(c.shape)
        except SolverError as error:
            rating = "no converter" if self.site.rating_kva is None else f"{self.site.rating_kva:g} kVA of converters"
            resources = ", ".join(self.site.resources)
            raise SolverError(f"prosumer {self.name} ({resources}; {rating}): {error}") from error

    def _tie(self, signal: PriceSignal) -> FloatArray:
        """Weights of the tie-break, [variables], so small against the signal's prices that they decide ties only."""
        value_chf = self.tariff.value_chf_per_kwh * self.dt_h
        price_chf = float(np.abs(signal.g[:, 0]).mean()) or value_chf
        return TIE_REL * float(np.clip(price_chf, NOISE_REL * value_chf, value_chf)) * self._ties

    def _plans(self, y: FloatArray) -> dict[str, ResourcePlan]:
        values = dict(zip(self._variables, y.T, strict=True))
        return {
            name: each.plan({own: values[_joined(name, own)] for own in each.variables})
            for name, each in self._blocks.items()
        }

    def _demand(self, y: FloatArray) -> FloatArray:
        """Profile x [T, 2]: the sum of the resources' plans."""
        plans = self._plans(y).values()
        return np.column_stack(
            [reduce(np.add, parts) for parts in ([p.p_kw for p in plans], [p.q_kvar for p in plans])]
        )

    def _cost_chf(self, signal: PriceSignal, y: FloatArray) -> float:
        """Advertised cost and own costs of decisions."""
        x = np.asarray(self._x_fixed + y @ self._m.T)
        return signal.cost_chf(x) + self._own_cost_chf(x, y)

    def _program(self) -> QuadraticProgram:
        steps, count = self._own_c.shape
        equalities = [[_renamed(row, name) for row in each.equalities] for name, each in self._blocks.items()]
        inequalities = [[_renamed(row, name) for row in each.inequalities] for name, each in self._blocks.items()]
        if EXPORT in self._variables:
            beyond = dict(zip(self._variables, -self._m[0], strict=True)) | {EXPORT: -1.0}
            inequalities.append([Row(beyond, self._x_fixed[:, 0])])
        pattern = sp.csc_matrix((np.ones(len(self._pattern[0])), self._pattern), shape=(count, count))
        bounds = [_side(self._variables, side, steps).ravel() for side in ("lower", "upper")]
        return QuadraticProgram(
            sp.kron(sp.identity(steps), pattern, format="csc"),
            *self._stacked(equalities), *self._rated(*self._stacked(inequalities)), *bounds,
        )  # fmt: skip

    def _stacked(self, groups: Sequence[Sequence[Row]]) -> tuple[sp.csc_matrix, FloatArray]:
        """Matrix and bounds of rows: group after group, within a group ordered by step."""
        steps, count = self._own_c.shape
        each_step, step_before = sp.identity(steps, format="csc"), sp.eye(steps, k=-1)
        matrices, bounds = [sp.csc_matrix((0, steps * count))], [np.zeros(0)]
        for rows in filter(None, groups):
            now, before = (
                sp.csr_matrix([[part.get(name, 0.0) for name in self._variables] for part in parts])
                for parts in ([row.now for row in rows], [row.before for row in rows])
            )
            rows_now = sp.kron(each_step, now)
            matrices.append(rows_now + sp.kron(step_before, before) if before.nnz else rows_now)
            bounds.append(np.column_stack([np.broadcast_to(row.bound, steps) for row in rows]).ravel())
        return sp.vstack(matrices, format="csc"), np.concatenate(bounds)

    def _rated(self, g: sp.csc_matrix, h: FloatArray) -> tuple[sp.csc_matrix, FloatArray]:
        """Append the rows of the rating to the inequalities, if the site could exceed it."""
        if self.site.rating_kva is None:
            return g, h
        rows, bound = rating_rows(self.site.rating_kva, self._x_fixed, tuple(self._variables.values()))
        return (sp.vstack([g, rows], format="csc"), np.concatenate([h, bound])) if len(bound) else (g, h)

    def _own_cost_chf(self, x: FloatArray, y: FloatArray) -> float:
        """Own costs of the resources, and what feed-in earns less or more than the tariff."""
        owned = [name != EXPORT for name in self._variables]
        lost_chf = float(self._spread @ np.maximum(-x[:, 0], 0) + np.sum(self._premium * x))
        own = self._own_c * y + self._own_h * y**2 / 2
        return float(np.sum(own[:, owned])) + lost_chf


def participants(scenario: Scenario, solver: str = PIQP) -> list[ProsumerProgram]:
    """The programs of all prosumers of a scenario, for an owner of all sites."""
    return [ProsumerProgram(site, scenario.tariff, scenario.axis.dt_h, solver) for site in scenario.sites]


def _variables(blocks: Mapping[str, Block], spread_chf: FloatArray) -> dict[str, Variable]:
    """Variables of a step in order: those that move the demand, the export if it costs ``spread_chf`` (per kW),
    states.
    """
    owned = {_joined(name, own): variable for name, each in blocks.items() for own, variable in each.variables.items()}
    moving = {name: variable for name, variable in owned.items() if any(variable.demand)}
    export = {EXPORT: Variable((0, 0), 0, np.inf, spread_chf)} if np.any(spread_chf > 0) else {}
    return {**moving, **export, **owned}


def _side(variables: Mapping[str, Variable], side: str, steps: int) -> FloatArray:
    """The bounds ``lower`` or ``upper`` of all variables, [T, variables]."""
    return np.column_stack(
        [np.broadcast_to(getattr(v, side), steps) for v in variables.values()] or [np.zeros((steps, 0))]
    )


def _joined(resource: str, own: str) -> str:
    """Name of a resource's variable in the program."""
    return f"{resource}.{own}"


def _renamed(row: Row, resource: str) -> Row:
    """A row of a block over the variables of the program."""
    now, before = ({_joined(resource, own): value for own, value in part.items()} for part in (row.now, row.before))
    return Row(now, row.bound, before)
