"""The invariant of the commanded mode: it outlives whatever happens to the service.

What was commanded is known from the clock master's own record and from the trails together: a service that has lost an
order cannot have it forgotten.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from controller.api.attempts import EVENT as API_NOTE
from controller.judge.case import MODE_NOTE, STOP_NOTE, BrokenInvariant, Case
from controller.judge.cycles import COMMAND_NOTE, CONFIRMED
from controller.judge.histories import STOP_ORDER
from controller.process.modes import Mode
from controller.record.audit_lines import AuditNote

Bound = tuple[datetime, Mode]


def commands_outlast(case: Case) -> Iterator[BrokenInvariant]:
    """16: no mode is entered, or found in a cycle, that is higher than the last command, and no setpoint but safe ones
    is attempted while that is not ACTIVE; whatever ended a service in between.
    """
    bounds = _bounds(case)
    for since, mode in case.modes:
        yield from _exceeded(bounds, since, Mode(mode), f"{mode} entered")
    for point in case.histories.service:
        yield from _exceeded(bounds, point.time, Mode(point.mode), f"{point.mode} in a cycle")
    for received in case.received():
        attempt, frame = received.attempt, received.frame
        if frame.enable and attempt is not None and not attempt.safe:
            what = f"setpoint {frame.s_kva} kVA"
            yield from _exceeded(bounds, attempt.time, Mode.ACTIVE, what, frame.device)


def orders(case: Case) -> Sequence[tuple[datetime, str]]:
    """Every mode, or :data:`STOP_ORDER`, that was commanded, ascending. Of one instant, those of the clock master come
    last.
    """
    notes = (record for record in case.histories.audit if isinstance(record, AuditNote))
    noted = [(note.time, order) for note in notes for order in _order(note)]
    stopped = [(at, STOP_ORDER) for at in case.stops]
    given = [(command.time, command.order) for command in case.histories.commands if command.obeyed]
    return sorted((*noted, *stopped, *given), key=lambda entry: entry[0])


def _exceeded(
    bounds: Sequence[Bound], at: datetime, mode: Mode, what: str, device: str | None = None
) -> Iterator[BrokenInvariant]:
    """Whether a mode was higher than what was commanded before, and at that instant."""
    before = [bound for since, bound in bounds if since < at][-1:] or [Mode.ACTIVE]
    allowed = [*before, *(bound for since, bound in bounds if since == at)]
    if not any(bound.allows(mode) for bound in allowed):
        yield BrokenInvariant(16, at, device, f"{what}, commanded was {allowed[-1]}")


def _bounds(case: Case) -> Sequence[Bound]:
    """The highest mode allowed, from each time on."""
    bounds, bound = list[Bound](), Mode.ACTIVE
    for at, order in orders(case):
        bound = bound.at_most(Mode.MONITOR) if order == STOP_ORDER else Mode(order)
        bounds.append((at, bound))
    return bounds


def _order(note: AuditNote) -> Iterator[str]:
    """What a note of the audit trail says of the commanded mode: nothing, a mode, or a stop."""
    if note.event == COMMAND_NOTE and note.detail.startswith(f"{MODE_NOTE} "):
        yield note.detail.removeprefix(f"{MODE_NOTE} ").partition(",")[0]
    elif note.event == API_NOTE and CONFIRMED in note.detail:
        yield Mode.ACTIVE
    elif note.event == STOP_NOTE or (note.event == MODE_NOTE and not note.detail.endswith(Mode.ACTIVE)):
        yield STOP_ORDER
