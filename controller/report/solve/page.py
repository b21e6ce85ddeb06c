"""The page of a run of ``gridlab solve``."""

from collections.abc import Iterator
from shlex import quote

from controller.report.comparison import Amount, amounts_table
from controller.report.primitives.amounts import UNKNOWN, magnitude, percent, significant
from controller.report.primitives.chapter import chapter, figure_chapter, origin
from controller.report.primitives.markup import Markup
from controller.report.primitives.page import banner, document, masthead, tile
from controller.report.solve.figures import convergence_figure
from controller.report.solve.kinds import chapters_of
from controller.report.solve.record import SolveRecord, SolveSummary

VERDICTS = {
    "converged": ("good", "Converged", "The objective lies within the gap below of a proven lower bound."),
    "neighbourhood": ("good", "Neighbourhood reached", "The algorithm has come as near to the optimum as it can."),
    "rounds": ("warn", "Not converged", "The allowed number of rounds was used up. Shown is the best result found."),
    "budget": ("warn", "Not converged", "The time budget was spent. Shown is the best result found."),
    "interrupted": ("warn", "Interrupted", "A signal ended the run. Shown is the best result found."),
    "infeasible": ("bad", "Limits that nobody can hold", "Not all limits can be held. Shown is the best compromise."),
    "partial": ("warn", "Partial", "Some participants are silent; the result holds what they last did."),
}
"""Colour, title and text by status."""
READING = """On the left the objective of the best answers so far and its proven lower bound; between them lies the
    optimum. On the right what is left of it: the certified gap, the worst violation of a limit, and the residuals of
    the algorithm."""


def solve_page(record: SolveRecord, other: SolveRecord | None) -> Markup:
    """report.html, followed by a second run of the same kind if there is one."""
    summary, records = record.summary, [record] if other is None else [record, other]
    facts = f"{summary.participants} participants, algorithm {summary.algorithm}; {summary.created_at.isoformat()}"
    head = masthead(f"solve, {summary.kind}", summary.name, facts, _verdict(summary), tiles=_tiles(summary))
    beside = [] if other is None else [_comparison(summary, other.summary)]
    parts = [part for k, each in enumerate(records) for part in _chapters(each, f"solve-{k}")]
    return document(f"{summary.name}, {summary.kind}", head, *beside, *parts, *map(_origin, records))


def _verdict(summary: SolveSummary) -> Markup:
    colour, title, text = VERDICTS.get(summary.status, ("warn", summary.status, ""))
    silent = f" Silent: {', '.join(summary.silent)}." if summary.silent else ""
    return banner(colour, title, text + silent)


def _tiles(summary: SolveSummary) -> Iterator[Markup]:
    bound = "no lower bound" if summary.bound is None else f"lower bound {significant(summary.bound)}"
    unheld = f", with {significant(summary.unheld_chf)} for what is not held" if summary.unheld_chf > 0 else ""
    yield tile("Objective", f"{_amount(summary.total)} {summary.currency}".strip(), bound + unheld)
    yield tile("Certified gap", "none" if summary.gap_rel is None else percent(summary.gap_rel), "relative")
    if summary.violation is not None:
        yield tile("Worst violation", magnitude(summary.violation), "of a limit")
    yield tile("Rounds", str(summary.rounds), f"{summary.hops_per_round} hops each")
    yield tile("Messages", str(summary.messages), f"{summary.bytes / 1000:.1f} kB of numbers")
    yield tile("Wall time", f"{summary.wall_s:.3g} s", f"{summary.cpu_s:.3g} s of CPU, gridlab {summary.version}")


def _chapters(record: SolveRecord, key: str) -> Iterator[Markup]:
    yield from chapters_of(record, key)
    if len(record.rounds):
        yield figure_chapter("Convergence", convergence_figure(record), f"{key}-convergence", READING)


def _comparison(one: SolveSummary, other: SolveSummary) -> Markup:
    names = one.algorithm, other.algorithm
    labels = names if one.algorithm != other.algorithm else ("this run", "the other run")
    return chapter("Both runs", amounts_table(labels, _amounts(one), _amounts(other)))


def _amounts(summary: SolveSummary) -> list[Amount]:
    return [
        ("objective", summary.total, 4),
        ("lower bound", summary.bound, 4),
        ("certified gap", summary.gap_rel, 6),
        ("worst violation", summary.violation, 6),
        ("rounds", summary.rounds, 0),
        ("messages", summary.messages, 0),
        ("wall time, s", summary.wall_s, 3),
    ]


def _amount(value: float | None) -> str:
    return UNKNOWN if value is None else significant(value)


def _origin(record: SolveRecord) -> Markup:
    summary = record.summary
    command = f"gridlab solve {quote(summary.config)} --algorithm {summary.algorithm}"
    given = {"configuration, SHA-256": summary.config_sha256, "version": f"gridlab {summary.version}"}
    return origin(command, given)
