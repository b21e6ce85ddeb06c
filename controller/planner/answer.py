"""What a planner returns: a plan, and numbers about the coordination that computed it."""

from dataclasses import dataclass
from typing import Self

from mpc.coordination.outcome import CoordinationStatus
from mpc.day_ahead import AgreedDay, DayAhead
from mpc.intra_day import RunningPlan


@dataclass(frozen=True)
class Report:
    """Numbers about a coordination; ``iterations`` counts its rounds, ``primal`` (kW) and ``dual`` (CHF/kW) are of the
    last.
    """

    status: CoordinationStatus
    iterations: int
    primal: float | None
    dual: float | None
    gap_rel: float | None
    violation_pu: float

    @classmethod
    def of(cls, computed: AgreedDay) -> Self:
        """Summarise a coordination."""
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
    """A plan and how it was computed.

    Attributes:
        running: the plan in force; from a planner behind a socket without its ``computed``.
        report: numbers about the coordination; None for an uncoordinated plan.
        made: the day-ahead plan in full, from a planner in this process only.
    """

    running: RunningPlan
    report: Report | None
    made: DayAhead | None

    @classmethod
    def of(cls, result: DayAhead | RunningPlan) -> Self:
        """Wrap the result of a job."""
        made = result if isinstance(result, DayAhead) else None
        running = RunningPlan.of(result) if isinstance(result, DayAhead) else result
        return cls(running, Report.of(running.computed) if running.computed else None, made)
