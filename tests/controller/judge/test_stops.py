"""Invariant 18, emergency stops: broken by one thing at a time in runs written by hand."""

from dataclasses import replace

import pytest

from controller.judge.case import STOP_NOTE, InjectedFault, Kind
from controller.judge.histories import GivenCommand, Histories, ReceivedFrame
from controller.record.audit_lines import AuditNote, AuditWrite
from tests.controller.judge.handmade import SITE, at, calm, fault, numbers

STOPPED = calm(10)
"""Released in cycle 10, which is also the end."""
ASKED = replace(fault(Kind.STOP, 10, 12), stopped_at=at(10))


def without_release(run: Histories, device: str) -> Histories:
    """The release of a device is attempted and does not arrive."""
    frames = tuple(f for f in run.frames if f.enable or f.device != device)
    audit = tuple(
        replace(r, outcome="unknown")
        if isinstance(r, AuditWrite) and (r.p_kw, r.device, r.outcome) == (None, device, "verified")
        else r
        for r in run.audit
    )
    return replace(run, frames=frames, audit=audit)


def asked_at(k: int) -> InjectedFault:
    return replace(fault(Kind.STOP, k, k + 1), stopped_at=at(k))


def test_a_stop_that_is_executed_breaks_nothing() -> None:
    assert numbers(STOPPED, ASKED, cycles=12) == set()


def test_a_stop_that_nobody_heard_of() -> None:
    assert 18 in numbers(calm(), asked_at(10))
    assert numbers(calm()) == set()


def test_setpoints_after_a_stop_that_is_on_record() -> None:
    note = AuditNote(1, at(10), STOP_NOTE, "asked by user 0, process 1")
    assert numbers(replace(calm(), stops=((note,), ()))) == {16, 18}


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ((), {16, 18}),
        ((GivenCommand(at(14), "active", "refused"),), {16, 18}),
        ((GivenCommand(at(14), "active", None), GivenCommand(at(14.5), "monitor", None)), {16}),
        ((GivenCommand(at(14), "active", None),), set()),
    ],
    ids=["nobody's command", "a refused one", "taken back", "an operator's"],
)
def test_a_stop_ends_with_a_command_to_active(commands: tuple[GivenCommand, ...], expected: set[int]) -> None:
    """A service that died is stopped by the guardian; the next one is ACTIVE in cycle 15."""
    run, death = calm(dead=range(10, 15)), fault(Kind.DEATH, 9.2, 14.5)
    release = [AuditWrite(k, at(9.5), name, None, None, "emergency", "", "attempted") for k, name in enumerate("ab", 1)]
    told = [ReceivedFrame(at(9.5), name, 0j, 0.0, 1, enable=False, refusal=None, violations=()) for name in "ab"]
    trail = tuple(line for one in release for line in (one, replace(one, outcome="verified")))
    frames = tuple(sorted((*run.frames, *told), key=lambda frame: frame.time))
    stop = replace(fault(Kind.STOP, 9.5, 9.6), stopped_at=at(9.5))
    assert numbers(replace(run, frames=frames, stops=(trail, ()), commands=commands), death, stop) == expected


def test_a_converter_that_is_left_at_its_setpoint() -> None:
    assert numbers(without_release(STOPPED, "a"), ASKED, cycles=12) == {18}


def test_a_converter_that_cannot_be_reached_is_excepted() -> None:
    cut = replace(fault(Kind.LINK, 9, 12, "a"), noticeable=False)
    assert 18 not in numbers(without_release(STOPPED, "a"), ASKED, cut, cycles=12)
    assert 18 in numbers(without_release(STOPPED, "b"), ASKED, cut, cycles=12)


def test_releases_of_a_stop_have_a_trail_of_their_own() -> None:
    def kept(record: AuditNote | AuditWrite) -> bool:
        return not (isinstance(record, AuditWrite) and record.p_kw is None)

    trail = tuple(r for r in STOPPED.audit if not kept(r))
    first = min(r.seq for r in trail)
    moved = tuple(replace(r, seq=r.seq - first + 1) for r in trail)
    own = [r for r in STOPPED.audit if kept(r)]
    order = {seq: k for k, seq in enumerate(dict.fromkeys(r.seq for r in own), 1)}
    audit = tuple(replace(r, seq=order[r.seq]) for r in own)
    assert numbers(replace(STOPPED, audit=audit, stops=(moved, ())), ASKED, cycles=12) == set()
    assert numbers(replace(STOPPED, audit=audit), ASKED, cycles=12) == {6}
    assert len(moved) == 2 * len(SITE.converters)
