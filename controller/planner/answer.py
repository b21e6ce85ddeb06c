"""What a planner says: a plan, and in numbers how it came about."""

from dataclasses import dataclass
from typing import Self

from mpc.coordination.outcome import Status
from mpc.day_ahead import CoordinatedDay, DayAhead
from mpc.intra_day import Running


@dataclass(frozen=True)
class Report:
    """How a coordination went; ``iterations`` counts its rounds, of the last are ``primal`` (kW), ``dual`` (CHF/kW)."""

    status: Status
    iterations: int
    primal: float | None
    dual: float | None
    gap_rel: float | None
    violation_pu: float

    @classmethod
    def of(cls, computed: CoordinatedDay) -> Self:
        """In numbers."""
        outcome = computed.outcome
        last = outcome.iterations[-1] if outcome.iterations else None
        return cls(
            status=outcome.status,
            iterations=len(outcome.iterations),
            primal=last.primal if last else None,
            dual=last.dual if last else None,
            gap_rel=outcome.gap_rel,
            violation_pu=computed.violation.worst_pu,
        )


@dataclass(frozen=True)
class Answer:
    """A plan.

    Attributes:
        running: what is in force; a planner beyond a socket keeps its ``computed`` for itself.
        report: of the coordination that was computed; None where nobody coordinates.
        made: the day-ahead plan in full, from a planner of this process only.
    """

    running: Running
    report: Report | None
    made: DayAhead | None

    @classmethod
    def of(cls, result: DayAhead | Running) -> Self:
        """Of what a job gave."""
        made = result if isinstance(result, DayAhead) else None
        running = Running.of(result) if isinstance(result, DayAhead) else result
        return cls(running, Report.of(running.computed) if running.computed else None, made)
