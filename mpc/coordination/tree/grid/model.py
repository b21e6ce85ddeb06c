"""Limits of a real grid as the rows of each branch (:class:`mpc.coordination.tree.rows.RowModel`).

Every branch holds the limits of its own part of the grid, below a source with an impedance
(:mod:`mpc.coordination.tree.grid.part`): what it does itself to its head voltage is in J, what others do is in v0.
That costs them: a price goes the other way. With the row prices λ of a branch and those of its child branches c',

    η   = (Σ_r λ_r ∂y_r/∂V_h + Σ_c' η_c' ∂V_c'/∂V_h) / γ      price of its head voltage, CHF per p.u.
    e_c = Σ_{c' ≠ c} η_c' J_c'c                               price of the power of c for the limits behind others

At rest v0 and η belong to each other, and prices and powers are those of one program over the whole grid
(docs/decisions/0096-a-feeder-sees-a-source.md). On the way there both are damped in the branch's program, and only
there: rounds are judged, and bounds computed, with what is known last.

Down an edge go (v0, k_p, k_q), up go (loss_p, loss_q, η), each [T, 3]: they concern a whole part, never one prosumer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.hierarchy import ACTIVE, REACTIVE
from mpc.coordination.tree.grid.part import HEAD_POWER, GridPart, HeadSource, PartRows, PartState
from mpc.coordination.tree.grid.regions import Region
from mpc.coordination.tree.outcome import BranchState
from mpc.coordination.tree.rows import OWN, BranchRows, Coupling
from mpc.grid.rows import NO_INFLUENCE

VOLTAGE_STEP, PRICE_STEP = 0.5, 0.15
"""Share of the way that head voltage and prices e_c go in one round, at first."""
FULL_ROUNDS, SMALLEST_STEP_REL = 40, 0.1
"""Rounds after which these shares shrink in proportion to their number, and to how much of them at least."""
ERROR_PER_TOLERANCE, ERROR_PER_VIOLATION = 0.25, 0.1
"""Error of the rows beyond which a bound is none of the new ones: share of the tolerance, or of what is violated."""
PRICE_MOVED_REL = 1e-3
"""Change of what the children pay by e_c beyond which a bound is none of the new problem: share of their tariff."""


@dataclass(frozen=True)
class GridTolerances:
    """Tolerable error of rows, and violation of limits, p.u."""

    linearisation_pu: float
    violation_pu: float


@dataclass(frozen=True)
class GridMemory:
    """What a model remembers for a warm start: its source, what its child branches reported, the damped prices."""

    source: HeadSource
    reported: Mapping[str, FloatArray]
    price: FloatArray

    def after(self, steps: int) -> "GridMemory":
        """The memory without its first ``steps`` steps."""
        reported = {child: report[steps:] for child, report in self.reported.items()}
        return GridMemory(self.source.after(steps), reported, self.price[:, steps:])


class GridRows:
    """Rows of one branch. ``errors_pu`` are those of the rows before each renewal, ``renewals`` their number."""

    def __init__(
        self,
        region: Region,
        violation_price_chf_per_kwh: float,
        tolerances: GridTolerances,
        memory: GridMemory | None = None,
    ) -> None:
        problem, steps = region.problem, region.problem.axis.n_steps
        none = np.zeros((len(problem.nodes), steps, 2))
        self.errors_pu: list[float] = []
        self.renewals = 0
        self._region, self._tolerances = region, tolerances
        self._part = GridPart(region, violation_price_chf_per_kwh)
        self._node = {child: problem.network.index(node) - 1 for child, node in problem.nodes.items()}
        supply = HeadSource(problem.slack_voltage_pu, np.zeros((steps, 2)))
        self._source = memory.source if memory and region.feeder else supply
        self._reported = dict(memory.reported) if memory else {}
        self._tariff = problem.tariff.buy_chf_per_kwh * problem.axis.dt_h
        self._price = memory.price if memory else none
        self._v0: FloatArray | None = None
        self._marked_price = none
        self._revision = 0
        self._x, self._losses = none, none
        self._state: PartState | None = None
        self._linear: PartRows | None = None
        self._rows: BranchRows | None = None

    @property
    def _step_rel(self) -> float:
        """Steps shrink, so that those of several feeders in turn come to rest."""
        return max(SMALLEST_STEP_REL, min(1.0, FULL_ROUNDS / (1 + len(self.errors_pu))))

    @property
    def memory(self) -> GridMemory:
        """For a warm start."""
        return GridMemory(self._source, self._reported, self._price)

    def renewed(self, x: FloatArray, published: FloatArray | None, reported: Mapping[str, FloatArray]) -> BranchRows:
        """See :class:`mpc.coordination.tree.rows.RowModel`."""
        self._x, self._reported = x, {**self._reported, **reported}
        self._hear(published)
        none = np.zeros_like(x[0])
        losses = np.stack([self._reported[c][:, :2] if c in self._reported else none for c in self._region.children])
        head = np.zeros_like(none) if self._state is None else self._state.head
        self._state = state = self._part.state(x + losses, self._source, head)
        linear = self._linearised(state)
        price = self._price_of_others(linear)
        self._mark(price)
        self._price = self._price + self._step_rel * PRICE_STEP * (price - self._price)
        self._losses = losses
        self._rows = self._branch_rows(linear, price)
        return self._rows

    def publishes(self, _x: FloatArray) -> Mapping[str, FloatArray]:
        """The source that each child branch sees: (v0, k_p, k_q), [T, 3]."""
        state, linear = self._state, self._linear
        if state is None or linear is None:
            return {}
        found = {}
        for c, child in enumerate(self._region.branches):
            k = linear.j[:, self._node[child], c]
            v0 = state.y[:, self._node[child]] - np.sum(k * state.d[c], axis=1)
            found[child] = np.column_stack([v0, k])
        return found

    def reports(self, row_prices: FloatArray) -> FloatArray | None:
        """Losses at the head, and the price of the head voltage: (loss_p, loss_q, η), [T, 3]."""
        if self._state is None or self._linear is None or self._rows is None:
            return None
        by_head = self._linear.by_head
        eta: FloatArray = np.sum(row_prices[:, OWN:] / self._rows.unit[:, OWN:] * by_head, axis=1)
        for child, report in self._reported.items():
            eta = eta + report[:, 2] * by_head[:, self._node[child]]
        loss = self._state.head - self._x.sum(axis=0)
        return np.column_stack([loss, eta / self._linear.gamma])

    def price_of_limit(self, state: BranchState) -> FloatArray:
        """What the limits of the power at the head add to its price, CHF/kW and CHF/kvar, [T, 2]."""
        price: FloatArray = np.zeros_like(self._x[0])
        if self._rows is not None and (row := state.rows.get(HEAD_POWER)) is not None:
            per_kw = self._rows.unit[:, self._rows.names.index(HEAD_POWER)] / self._part.per_kw
            price[:, 0] = row.multiplier_chf_per_kw / per_kw
        return price

    def _hear(self, published: FloatArray | None) -> None:
        """A source that was published; the program follows it by steps, but takes the first one as it is."""
        if published is not None:
            self._source = HeadSource.of(published)
            v0 = self._source.v0
            self._v0 = v0 if self._v0 is None else self._v0 + self._step_rel * VOLTAGE_STEP * (v0 - self._v0)

    def _linearised(self, state: PartState) -> PartRows:
        """The rows, anew where those before err; a large error makes the problem another one."""
        linear = self._linear
        error_pu = np.inf
        if linear is not None:
            error_pu = float(np.abs(linear.at(self._x + self._losses) - state.y).max())
        self.errors_pu.append(error_pu)
        if linear is not None and error_pu <= self._tolerances.linearisation_pu:
            return linear
        self.renewals += 1
        self._linear = new = self._part.linear(state, self._source)
        bearable = ERROR_PER_TOLERANCE * self._tolerances.violation_pu
        if error_pu > max(bearable, ERROR_PER_VIOLATION * new.excess_pu(state.y)):
            self._revision += 1
        return new

    def _price_of_others(self, linear: PartRows) -> FloatArray:
        """e_c, CHF/kW, [C, T, 2]."""
        price = np.zeros_like(self._x)
        for child, report in self._reported.items():
            others = np.array([name != child for name in self._region.children])
            effect = np.moveaxis(linear.j[:, self._node[child]], 1, 0)
            price[others] += (report[:, 2, None] * effect)[others]
        return price

    def _mark(self, price: FloatArray) -> None:
        """Notice prices that make the problem another one."""
        moved = float(np.abs((price - self._marked_price) * self._x).sum())
        if moved > PRICE_MOVED_REL * float(np.abs(self._tariff * self._x[:, :, 0]).sum()):
            self._marked_price = price
            self._revision += 1

    def _branch_rows(self, linear: PartRows, price: FloatArray) -> BranchRows:
        """The rows over the children's powers, scaled to a largest coefficient of 1; those of the sum have no limit."""
        children, steps = self._x.shape[:2]
        unit = np.abs(linear.j).max(axis=(2, 3))
        idle = unit < NO_INFLUENCE
        unit = np.where(idle, 1.0, unit)
        at_zero = linear.at(self._losses)
        lower = np.where(idle, -np.inf, (linear.lower - at_zero) / unit)
        upper = np.where(idle, np.inf, (linear.upper - at_zero) / unit)
        lag = np.zeros(steps) if self._v0 is None else (self._source.v0 - self._v0) / linear.gamma
        own, free, ones = np.eye(OWN)[:, None], np.full((steps, OWN), np.inf), np.ones((steps, OWN))
        return BranchRows(
            names=(ACTIVE, REACTIVE, *self._part.names),
            a=np.concatenate(
                [np.broadcast_to(own, (steps, OWN, children, 2)), linear.j / unit[:, :, None, None]], axis=1
            ),
            lower=np.hstack([-free, lower]),
            upper=np.hstack([free, upper]),
            scale=np.hstack([ones, 1 / unit]),
            unit=np.hstack([ones, unit]),
            coupling=Coupling(
                price=price,
                x=self._x.copy(),
                program_price=self._price,
                program_shift=np.hstack([0 * ones, lag[:, None] * linear.by_head / unit]),
            ),
            revision=self._revision,
        )
