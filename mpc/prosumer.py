"""The prosumer: its resources answering a price signal (paper A, eq. 20–22).

Each resource is a block with variables y_r per step (:mod:`mpc.resources`): a battery its discharge b and reactive
power β, a PV plant its output g and reactive power γ, a load none. Where feed-in earns less than consumption costs, the
export e (kW) is one more:

    min  Σ_t [½ x_t'H_t x_t + g_t'x_t] + fee + Σ_r own cost_r(y_r) + Σ_t (c⁺ − c⁻)_t e_t Δt    (13), (22a)
    x = Σ_r (fixed_r + M_r y_r),   that is  p = load_p − b − g,  q = load_q − β − γ            (22b)
    rows and bounds of every block                                                             (20, 21)
    e ≥ −p,  e ≥ 0                                                                             (21a)
    |x_t| within the rating of the converters, where x could exceed it                         :mod:`mpc.rating`

The variables of a step stand side by side: what moves the demand, the export, then states such as the state of charge;
the steps follow one another. The constraints are built once; a new signal changes only the objective.
"""

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import scipy.sparse as sp

from core.arrays import FloatArray
from core.errors import SolverError
from core.plan import ProsumerPlan
from core.prices import DemandProfile, PriceSignal, Tariff
from core.scenario import Scenario, Site
from mpc.rating import rating_rows
from mpc.resources.block import Block, Row, Variable
from mpc.resources.matching import block
from mpc.solvers.quadratic import PIQP, QuadraticProgram, qp_solver

EXPORT = "export"


class ProsumerProgram:
    """A :class:`mpc.coordination.participants.Participant`: one quadratic program over all resources of a site."""

    def __init__(self, site: Site, tariff: Tariff, dt_h: float, solver: str = PIQP) -> None:
        self.name = site.name
        self.site = site
        self._spread = tariff.export_spread_chf_per_kwh * dt_h
        steps = len(self._spread)
        value = tariff.value_chf_per_kwh
        self._blocks = {name: block(resource, steps, dt_h, value) for name, resource in site.resources.items()}
        self._x_fixed: FloatArray = reduce(np.add, [each.fixed for each in self._blocks.values()])
        self._variables = _variables(self._blocks, self._spread)
        self._m = np.array([v.demand for v in self._variables.values()]).reshape(-1, 2).T
        self._own_c, self._own_h = np.zeros((2, steps, len(self._variables)))
        for column, variable in enumerate(self._variables.values()):
            self._own_c[:, column], self._own_h[:, column] = variable.cost_chf, variable.curvature_chf
        curved = np.flatnonzero(self._m.any(axis=0) | self._own_h.any(axis=0))
        pairs = [(k, j) for j in curved for k in curved if k <= j]
        self._pairs = tuple(np.array(pairs, int).reshape(-1, 2).T)
        self._solver = qp_solver(solver, self._program()) if self._variables else None

    def respond(self, signal: PriceSignal) -> DemandProfile:
        """See :class:`mpc.coordination.participants.Participant`."""
        y = self._decide(signal)
        x = self._demand(y)
        return DemandProfile(x, signal.cost_chf(x) + self._own_cost_chf(x, y))

    def plan(self, signal: PriceSignal) -> ProsumerPlan:
        """See :class:`mpc.coordination.participants.Participant`."""
        y = self._decide(signal)
        x, values = self._demand(y), dict(zip(self._variables, y.T, strict=True))
        plans = {
            name: each.plan({own: values[_joined(name, own)] for own in each.variables})
            for name, each in self._blocks.items()
        }
        return ProsumerPlan(x[:, 0], x[:, 1], plans)

    def _decide(self, signal: PriceSignal) -> FloatArray:
        """Minimiser y [T, variables] under the signal."""
        if self._solver is None:
            return np.zeros((len(self._x_fixed), 0))
        hm = signal.h @ self._m
        p_blocks = self._m.T @ hm + self._own_h[:, :, None] * np.identity(len(self._variables))
        c = signal.gradient(self._x_fixed) @ self._m + self._own_c
        try:
            return self._solver.solve(p_blocks[:, *self._pairs].ravel(), c.ravel()).reshape(c.shape)
        except SolverError as error:
            rating = "no converter" if self.site.rating_kva is None else f"{self.site.rating_kva:g} kVA of converters"
            resources = ", ".join(self.site.resources)
            raise SolverError(f"prosumer {self.name} ({resources}; {rating}): {error}") from error

    def _demand(self, y: FloatArray) -> FloatArray:
        return np.asarray(self._x_fixed + y @ self._m.T)

    def _program(self) -> QuadraticProgram:
        steps, count = self._own_c.shape
        equalities = [[_renamed(row, name) for row in each.equalities] for name, each in self._blocks.items()]
        inequalities = [[_renamed(row, name) for row in each.inequalities] for name, each in self._blocks.items()]
        if EXPORT in self._variables:
            beyond = dict(zip(self._variables, -self._m[0], strict=True)) | {EXPORT: -1.0}
            inequalities.append([Row(beyond, self._x_fixed[:, 0])])
        pattern = sp.csc_matrix((np.ones(len(self._pairs[0])), self._pairs), shape=(count, count))
        bounds = [
            np.column_stack([np.broadcast_to(getattr(v, side), steps) for v in self._variables.values()]).ravel()
            for side in ("lower", "upper")
        ]
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
        """Own costs of the resources, and the loss by the spread between tariff and feed-in on exported energy."""
        owned = [name != EXPORT for name in self._variables]
        lost_chf = float(self._spread @ np.maximum(-x[:, 0], 0))
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


def _joined(resource: str, own: str) -> str:
    """Name of a resource's variable in the program."""
    return f"{resource}.{own}"


def _renamed(row: Row, resource: str) -> Row:
    """A row of a block over the variables of the program."""
    now, before = ({_joined(resource, own): value for own, value in part.items()} for part in (row.now, row.before))
    return Row(now, row.bound, before)
