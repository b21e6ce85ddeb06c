"""22: each of the three rules about guardians is broken once, in a run of thirty cycles without a guardian."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from controller.judge.case import Kind
from controller.judge.guardians import ALARM
from controller.judge.histories import AlarmPoint, Histories
from controller.record.audit_lines import AuditNote
from tests.controller.judge.handmade import at, calm, fault, numbers

CYCLES = 30
RUN = calm(CYCLES)
DIES, LIVES = 4.5, 29.5
"""The guardian lives before and after."""
NOTICED, LEFT = 5, 15


def alarms(cycles: Sequence[int]) -> tuple[AlarmPoint, ...]:
    return tuple(AlarmPoint(at(k), ALARM, True, "no living guardian") for k in cycles)


def obeyed() -> Histories:
    """An alarm in the first cycle, and MONITOR ten cycles later, which releases everything."""
    return replace(lowered(LEFT), alarms=alarms(range(NOTICED, LEFT + 1)))


def lowered(left: int) -> Histories:
    """Nothing is written after cycle ``left``, since the mode is MONITOR."""
    note = AuditNote(10_000, at(left), "mode", "active → monitor")
    kept = [record for record in RUN.audit if record.time <= at(left)]
    order = {seq: k for k, seq in enumerate(dict.fromkeys(record.seq for record in kept), 1)}
    audit = [replace(record, seq=order[record.seq]) for record in kept]
    return replace(
        RUN,
        frames=tuple(frame for frame in RUN.frames if frame.time <= at(left)),
        audit=(*audit, replace(note, seq=len(order) + 1)),
        service=tuple(replace(p, mode="active" if p.time <= at(left) else "monitor") for p in RUN.service),
    )


def broken(histories: Histories, dies: float = DIES, lives: float = LIVES) -> bool:
    return 22 in numbers(histories, fault(Kind.GUARDIAN, dies, lives), cycles=CYCLES)


def test_a_service_that_obeys() -> None:
    assert numbers(obeyed(), fault(Kind.GUARDIAN, DIES, LIVES), cycles=CYCLES) == set()


def test_no_alarm() -> None:
    assert broken(replace(obeyed(), alarms=()))
    assert broken(replace(obeyed(), alarms=alarms(range(NOTICED + 3, LEFT))))


def test_still_active_after_five_minutes() -> None:
    assert broken(replace(RUN, alarms=alarms(range(NOTICED, CYCLES))))
    assert not broken(replace(RUN, alarms=alarms(range(NOTICED, 12))), lives=12.5), "it came back in time"


def test_active_by_command_while_there_is_none() -> None:
    again = AuditNote(10_001, at(LEFT + 2), "mode", "monitor → active")
    entered = obeyed()
    entered = replace(entered, audit=(*entered.audit, replace(again, seq=entered.audit[-1].seq + 1)))
    assert broken(entered)


@pytest.mark.parametrize(
    ("after", "hangs", "late"),
    [(0.0, False, True), (0.5, False, True), (0.5, True, False), (1.5, True, True)],
    ids=["the moment it dies", "before a cycle is over", "before it is known to hang", "after that"],
)
def test_active_by_command_soon_after_its_end(after: float, hangs: bool, late: bool) -> None:
    """Only one that hangs cannot be noticed at once; ACTIVE lasts until the next cycle, which sees it."""
    ended, entered = LEFT + 1.5, LEFT + 1.5 + after
    notes = (
        ("command", "mode active, operator", entered),
        ("mode", "monitor → active", entered),
        ("mode", "active → monitor", entered + 0.1),
    )
    run = lowered(LEFT)
    seq = run.audit[-1].seq
    audit = (*run.audit, *(AuditNote(seq + n, at(k), event, text) for n, (event, text, k) in enumerate(notes, 1)))
    absent = replace(fault(Kind.GUARDIAN, ended, LIVES), hangs=hangs)
    assert numbers(run, absent, cycles=CYCLES) == set()
    assert numbers(replace(run, audit=audit), absent, cycles=CYCLES) == ({22} if late else set())


def test_a_resumed_service_has_a_minute() -> None:
    """A death at the same time; the service was back in ACTIVE in cycle 6."""
    faults = fault(Kind.GUARDIAN, DIES, LIVES), fault(Kind.DEATH, DIES, 5.5)
    back = AuditNote(0, at(6), "mode", "off → active")
    for left, late in ((8, False), (14, True)):
        run = replace(lowered(left), alarms=alarms(range(6, left + 1)))
        notes = sorted((*run.audit, replace(back, seq=9_999)), key=lambda record: record.time)
        assert (22 in numbers(replace(run, audit=tuple(notes)), *faults, cycles=CYCLES)) is late


@pytest.mark.parametrize(("cycle", "false"), [(2, True), (NOTICED, False), (29, False)])
def test_an_alarm_about_a_living_guardian(cycle: int, false: bool) -> None:
    run = obeyed()
    assert broken(replace(run, alarms=(*run.alarms, *alarms([cycle])))) is false
