"""How a coordination went, round by round, and how it ended. Not converged is a value, not an exception."""

from dataclasses import dataclass
from enum import StrEnum

from core.plan import Agreement
from core.prices import DemandProfile
from mpc.coordination.splitting import Splitting
from mpc.grid_rows import Violation
from mpc.power_flow import Flow


class Status(StrEnum):
    """Why the coordination stopped."""

    CONVERGED = "converged"
    BUDGET = "budget"
    ITERATIONS = "iterations"
    INFEASIBLE = "infeasible"


@dataclass(frozen=True)
class Iteration:
    """One round, as in iterations.csv. ``bound_chf`` and ``gap_rel`` are None until the first bound was asked for."""

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
class Candidate:
    """Signals that were sent, the profiles that answered them, and what the AC power flow says of these.

    ``unheld_pu`` is by how much the operator's own copy leaves limits that nobody can hold, ``unheld_chf`` the price
    of that; both 0 where limits can be held. ``merit_chf`` is the cost plus the priced violation of the profiles
    themselves beyond the tolerance.
    """

    agreements: dict[str, Agreement]
    cost_chf: float
    flow: Flow
    violation: Violation
    unheld_pu: float
    unheld_chf: float
    merit_chf: float

    @property
    def avoidable_pu(self) -> float:
        """Violation beyond what nobody can hold."""
        return max(0.0, self.violation.worst_pu - self.unheld_pu)


@dataclass(frozen=True)
class Outcome:
    """The result of a coordination.

    ``lower_bound_chf`` and ``gap_rel`` belong to the final linearisation, that of ``splitting.rows``; ``splitting``
    is also the warm start of the next coordination. ``uncoordinated`` are the answers to the plain tariff.
    """

    status: Status
    best: Candidate
    uncoordinated: dict[str, DemandProfile]
    lower_bound_chf: float | None
    gap_rel: float | None
    iterations: tuple[Iteration, ...]
    relinearisations: int
    splitting: Splitting
