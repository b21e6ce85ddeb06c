"""Power flow of one part of the grid below a source with an impedance, and its rows around it.

A branch knows nothing of the grid above its head but

    V_h = v0 + k'S(d, V_h)       v0: head voltage if the part drew nothing;  S = (P, Q): power at the head, with losses

Its quantities y are voltages, power at the head and line currents, in the comparable p.u. of :mod:`mpc.grid.rows`. At
the demands d_c of its children, of which a child branch has its losses in it,

    y ≈ y* + J (d − d*),     J_c = ∂y/∂d_c + ∂y/∂V_h K_c,     K_c = k'∂S/∂d_c / γ,     γ = 1 − k'∂S/∂V_h

so that a feeder knows what it does to the lines that it shares with others.
"""

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from mpc.coordination.tree.grid.regions import Region
from mpc.grid.power_flow import Flow
from mpc.grid.rows import DIRECTIONS, PU_PER_RATING, GridModel

STEP_PU = 1e-5
"""Half the step of the difference quotient by the head voltage."""
SETTLED_PU = 1e-8
MOST_FLOWS = 10
"""Power flows after which head voltage and power at the head agree, or never will."""
HEAD_POWER, HEAD_REACTIVE = "head power", "head reactive power"
"""Names of the rows of P and Q."""


@dataclass(frozen=True)
class HeadSource:
    """The grid above a head: V_h = v0 + k'S; v0 [T] in p.u., k [T, 2] in p.u. per kW and kvar."""

    v0: FloatArray
    k: FloatArray

    @classmethod
    def of(cls, published: FloatArray) -> "HeadSource":
        """From the columns (v0, k_p, k_q), [T, 3]."""
        return cls(published[:, 0], published[:, 1:])

    def voltage(self, head: FloatArray) -> FloatArray:
        """V_h at the power S [T, 2] at the head, [T]."""
        rise: FloatArray = np.sum(self.k * head, axis=1)
        return self.v0 + rise

    def after(self, steps: int) -> "HeadSource":
        """The source without the first ``steps`` steps."""
        return HeadSource(self.v0[steps:], self.k[steps:])


@dataclass(frozen=True)
class PartState:
    """Power flow of a part at the demands d [C, T, 2]; ``grid`` has the head voltage that belongs to it, y [T, R]."""

    d: FloatArray
    grid: GridModel
    flow: Flow
    y: FloatArray

    @property
    def head(self) -> FloatArray:
        """Power at the head, kW and kvar, [T, 2]."""
        return np.column_stack([self.flow.s_slack.real, self.flow.s_slack.imag])


@dataclass(frozen=True)
class PartRows:
    """y ≈ y* + J (d − d*) with its limits.

    Attributes:
        d, y: d* [C, T, 2] and y* [T, R].
        j: J, [T, R, C, 2].
        by_head: ∂y/∂V_h at given demands, [T, R]; ``gamma`` is γ, [T].
        lower, upper: limits of y, infinite without one, [T, R].
    """

    d: FloatArray
    y: FloatArray
    j: FloatArray
    by_head: FloatArray
    gamma: FloatArray
    lower: FloatArray
    upper: FloatArray

    def at(self, d: FloatArray) -> FloatArray:
        """The rows at the demands d [C, T, 2]."""
        moved: FloatArray = np.einsum("trck,ctk->tr", self.j, d - self.d)
        return self.y + moved

    def excess_pu(self, y: FloatArray) -> float:
        """Largest violation of the limits by y [T, R], ≥ 0."""
        return max(0.0, float(np.maximum(self.lower - y, y - self.upper).max()))


class GridPart:
    """One part of the grid; the first rows of y are the voltages of its nodes, then P and Q at its head.

    ``per_kw`` is the comparable p.u. of a kW there, and ``names`` has the rows.
    """

    def __init__(self, region: Region, violation_price_chf_per_kwh: float) -> None:
        problem = region.problem
        self.nodes = len(problem.network.nodes) - 1
        self.per_kw = PU_PER_RATING / problem.limits.slack_s_max_kva
        limited = [line.name for line in problem.network.lines if line.i_max_a is not None]
        currents = [f"current {name}, direction {k}" for name in limited for k in range(len(DIRECTIONS))]
        voltages = [f"voltage {node}" for node in problem.network.nodes[1:]]
        self.names = (*voltages, HEAD_POWER, HEAD_REACTIVE, *currents)
        self._feeder = region.feeder
        self._grid = GridModel(problem, violation_price_chf_per_kwh)

    def state(self, d: FloatArray, source: HeadSource, head: FloatArray) -> PartState:
        """The power flow at which head voltage and power at the head agree; ``head`` [T, 2] is a first guess of it."""
        v = source.voltage(head)
        for _ in range(MOST_FLOWS):
            grid = self._grid.at_supply(v)
            flow = grid.flow(d)
            state = PartState(d, grid, flow, grid.quantities(flow))
            before, v = v, source.voltage(state.head)
            if np.abs(v - before)[flow.solved].max(initial=0) < SETTLED_PU:
                break
        return state

    def linear(self, state: PartState, source: HeadSource) -> PartRows:
        """The rows around a state."""
        rows, n = state.grid.linearise(state.d), self.nodes
        power = slice(n, n + 2)
        j = (rows.a * rows.norm[:, :, None]).reshape(*rows.norm.shape, -1, 2)
        by_head = self._by_head(state)
        gamma = 1 - np.sum(source.k * by_head[:, power], axis=1) / self.per_kw
        through_head = np.einsum("tp,tpck->tck", source.k, j[:, power]) / (self.per_kw * gamma[:, None, None])
        lower, upper = ((side - rows.offset) * rows.norm for side in (rows.lower, rows.upper))
        if self._feeder is not None:
            lower[:, power], upper[:, power] = -np.inf, np.inf
            if self._feeder.p_min_kw is not None:
                lower[:, n] = self._feeder.p_min_kw * self.per_kw
            if self._feeder.p_max_kw is not None:
                upper[:, n] = self._feeder.p_max_kw * self.per_kw
        return PartRows(
            d=state.d,
            y=(rows.value(state.d) - rows.offset) * rows.norm,
            j=j + by_head[:, :, None, None] * through_head[:, None],
            by_head=by_head,
            gamma=gamma,
            lower=lower,
            upper=upper,
        )

    def _by_head(self, state: PartState) -> FloatArray:
        """∂y/∂V_h at given demands, [T, R]; 0 where there is no power flow."""
        v, grid = state.flow.v_slack, state.grid
        above, below = (grid.at_supply(v + h).flow(state.d) for h in (STEP_PU, -STEP_PU))
        slope = (grid.quantities(above) - grid.quantities(below)) / (2 * STEP_PU)
        return np.where((above.solved & below.solved)[:, None], slope, 0.0)
