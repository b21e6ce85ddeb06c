"""How a coordination went, round by round, and how it ended. Not converged is a value, not an exception."""

from dataclasses import dataclass
from enum import StrEnum

from core.prices import DemandProfile
from mpc.coordination.star.splitting import Splitting
from mpc.coordination.star.stopping import Candidate


class Status(StrEnum):
    """Why the coordination stopped; ``infeasible``: the best compromise where limits cannot be held."""

    CONVERGED = "converged"
    BUDGET = "budget"
    ITERATIONS = "iterations"
    INFEASIBLE = "infeasible"


@dataclass(frozen=True)
class Iteration:
    """One round, as in iterations.csv. ``bound_chf`` and ``gap_rel`` are None until a bound was asked for."""

    iteration: int
    primal: float
    dual: float
    rho: float
    cost_chf: float
    bound_chf: float | None
    gap_rel: float | None
    violation_pu: float
    linearisation_pu: float
    wall_ms: float


@dataclass(frozen=True)
class Outcome:
    """The result of a coordination.

    ``lower_bound_chf`` is the best bound of the final linearisation, that of ``splitting.rows``, and ``gap_rel`` is
    relative to it; ``splitting`` is also the warm start of the next coordination. ``uncoordinated`` are the answers to
    the plain tariff.
    """

    status: Status
    best: Candidate
    uncoordinated: dict[str, DemandProfile]
    lower_bound_chf: float | None
    gap_rel: float | None
    iterations: tuple[Iteration, ...]
    relinearisations: int
    splitting: Splitting
