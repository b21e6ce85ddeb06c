"""What every algorithm of ``gridlab solve`` says of its rounds and of its end, whatever the kind of problem."""

from dataclasses import dataclass
from enum import StrEnum


class SolveStatus(StrEnum):
    """Why an algorithm ended, and with what.

    ``converged``: within its tolerances; ``neighbourhood``: as near as it can come; ``rounds``, ``budget``,
    ``interrupted``: the allowed rounds, the time, or a signal ended it before; ``infeasible``: limits cannot be held,
    and the result is the best compromise; ``partial``: some participants are silent, and the result holds what they
    last did.
    """

    CONVERGED = "converged"
    NEIGHBOURHOOD = "neighbourhood"
    ROUNDS = "rounds"
    BUDGET = "budget"
    INTERRUPTED = "interrupted"
    INFEASIBLE = "infeasible"
    PARTIAL = "partial"


@dataclass(frozen=True)
class SolveRound:
    """One round of an algorithm, a row of rounds.csv. None: the algorithm has no such number, or not in this round.

    Attributes:
        round: its number, ascending.
        objective: of the best answers so far, in the unit of the problem.
        bound: the best lower bound so far.
        gap_rel: certified relative gap of both.
        violation: worst violation of limits by the answers, in the unit of the problem.
        primal, dual, rho: norms of the residuals, and the penalty.
    """

    round: int
    objective: float | None = None
    bound: float | None = None
    gap_rel: float | None = None
    violation: float | None = None
    primal: float | None = None
    dual: float | None = None
    rho: float | None = None
