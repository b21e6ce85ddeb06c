"""How a coordination ended, as far as all shapes share it. Not converged is a value, not an exception."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from mpc.grid.rows import GridModel


class CoordinationStatus(StrEnum):
    """Why the coordination stopped; ``infeasible``: limits cannot be held, and the result is the best compromise;
    ``partial``: the best for the others, with a silent participant held at its last answer.
    """

    CONVERGED = "converged"
    BUDGET = "budget"
    ITERATIONS = "iterations"
    INFEASIBLE = "infeasible"
    PARTIAL = "partial"


@dataclass(frozen=True)
class CoordinationOutcome:
    """The part of a result that all shapes share.

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
    """Start of a later coordination of the same participants; its content is private to the shape that made it."""

    def shifted(self, steps: int, grid: GridModel) -> Self:
        """The warm start for the horizon without its first ``steps`` steps, on ``grid`` as expected now."""
        ...
