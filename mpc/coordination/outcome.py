"""How a coordination ended: what all shapes share. Not converged is a value, not an exception."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from mpc.grid.rows import GridModel


class CoordinationStatus(StrEnum):
    """Why the coordination stopped; ``infeasible``: the best compromise where limits cannot be held."""

    CONVERGED = "converged"
    BUDGET = "budget"
    ITERATIONS = "iterations"
    INFEASIBLE = "infeasible"


@dataclass(frozen=True)
class CoordinationOutcome:
    """The part of a result that every shape has.

    Attributes:
        gap_rel: certified relative gap between the cost and a lower bound of it; None without a bound.
    """

    status: CoordinationStatus
    gap_rel: float | None


@dataclass(frozen=True)
class Unanswered(CoordinationOutcome):
    """Time was up before every participant had answered once: there are no profiles, and so no plan.

    Attributes:
        silent: names of the participants that never answered.
    """

    silent: tuple[str, ...]


class WarmStart(Protocol):
    """Where a later coordination of the same participants may begin. Only its own shape knows what is in it."""

    def shifted(self, steps: int, grid: GridModel) -> Self:
        """The warm start of what is left when ``steps`` steps have passed, on ``grid`` as it is expected now."""
        ...
