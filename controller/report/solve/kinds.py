"""The chapters of each kind of problem."""

from collections.abc import Callable, Iterator

from controller.report.primitives.markup import Markup
from controller.report.solve.dispatch import dispatch_chapters
from controller.report.solve.record import SolveRecord
from controller.report.solve.tree import tree_chapters
from core.errors import Fault, InputError, shown

CHAPTERS: dict[str, Callable[[SolveRecord, str], Iterator[Markup]]] = {
    "dispatch": dispatch_chapters,
    "tree": tree_chapters,
}
"""A function per kind; its second argument begins the ids of its figures, which are unique in the page."""


def chapters_of(record: SolveRecord, key: str) -> Iterator[Markup]:
    """The chapters of a run by its kind.

    Raises:
        InputError: its kind is unknown, or a table is not in the format of this version.
    """
    kind = record.summary.kind
    if kind not in CHAPTERS:
        raise InputError(
            [Fault(f"{record.run.path}/summary.json", "kind", shown(kind), f"one of {', '.join(CHAPTERS)}")]
        )
    yield from CHAPTERS[kind](record, key)
