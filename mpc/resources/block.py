"""The contribution of a resource to its prosumer's program: variables with bounds and own cost, rows, and its plan.

With y_t the variables of a block in step t, and y_{−1} = 0:

    min  … + Σ_t [cost_t'y_t + ½ Σ_v curvature_{t,v} y²_{t,v}]    s.t.    lower_t ≤ y_t ≤ upper_t,
    now'y_t + before'y_{t−1} = bound_t  (equalities),    now'y_t + before'y_{t−1} ≤ bound_t  (inequalities)

The demand of the resource in step t is ``fixed``_t + Σ_v demand_v y_{t,v}.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.arrays import FloatArray
from core.plan import ResourcePlan


@dataclass(frozen=True)
class Exclusion:
    """A variable of a block that physics does not allow in the same step as another one, both ≥ 0.

    A step in which a solution uses both keeps ``other`` if that is larger than ``weight`` times the first one.
    """

    other: str
    weight: float


@dataclass(frozen=True)
class Variable:
    """One decision per step.

    Attributes:
        demand: effect of a unit of it on the demand (p kW, q kvar); (0, 0) for a state.
        lower, upper: bounds, scalar or [T].
        cost_chf: own cost of a unit in a step, scalar or [T].
        curvature_chf: own cost of half the square of it in a step, scalar or [T], ≥ 0.
        tie: weight of a kW of it where costs are equal: the least sum is chosen. It is no cost.
        excludes: what must not be used in the same step; the program may not know it.
    """

    demand: tuple[float, float]
    lower: float | FloatArray
    upper: float | FloatArray
    cost_chf: float | FloatArray = 0.0
    curvature_chf: float | FloatArray = 0.0
    tie: float = 0.0
    excludes: Exclusion | None = None


@dataclass(frozen=True)
class Row:
    """A linear row in every step: coefficients of variables by name, and ``bound``, scalar or [T]."""

    now: Mapping[str, float]
    bound: float | FloatArray
    before: Mapping[str, float] = field(default_factory=dict)


def loss_curvature_chf(loss_rel: float, s_max_kva: float, value_chf_per_kwh: float, dt_h: float) -> float:
    """Curvature κ Δt of the loss ½ κ (p² + q²) Δt of a converter, κ = 2 ℓ c̄/S in CHF/kW²h: ℓ S c̄ Δt at full power."""
    return 2 * loss_rel * value_chf_per_kwh * dt_h / s_max_kva


class Block(Protocol):
    """A resource within a program of T steps."""

    @property
    def fixed(self) -> FloatArray:
        """Fixed demand (p kW, q kvar), [T, 2]."""
        ...

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Variables by name, in their order within a step."""
        ...

    @property
    def equalities(self) -> Sequence[Row]:
        """Rows that hold with equality."""
        ...

    @property
    def inequalities(self) -> Sequence[Row]:
        """Rows that stay below their bound."""
        ...

    def plan(self, values: Mapping[str, FloatArray]) -> ResourcePlan:
        """The resource's plan for values of the variables, each [T], rid of the solver's tolerance."""
        ...
