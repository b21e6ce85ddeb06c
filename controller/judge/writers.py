"""Invariants of writers: who may command a converter, who must be obeyed, and who must be told of. Each function yields
its violations.

The number that begins a docstring is that of the invariant in docs/reliability.md.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product

from controller.judge.case import BrokenInvariant, Case, Kind, modes_of_trail
from controller.judge.evidence import ConverterHistory, RecordedWrite
from controller.judge.histories import Trail
from core.devices import Outcome
from core.epochs import NOBODY, later

RELEASED_S = 10.0
"""Time within which a converter that answers follows a release."""
ALARM_CYCLES = 2
"""Cycles within which a write that was not read back is an alarm."""
TWINS_S = 60.0
"""Time, beside a cycle, for which two services may be ACTIVE on one plant until one of them has given way."""
WRITE_ALARM = "write"
"""Kind of the alarm of a converter whose last write was not read back."""
ACTIVE = "active"
UNREACHABLE = (Kind.LINK, Kind.DATA, Kind.STALE, Kind.DEVICE)
"""Faults of a device that may keep it from following a release."""
_STOPPING = ("stop", "emergency")
"""First words of the reasons of releases that are not of a cycle."""

Violations = Iterator[BrokenInvariant]


def one_writer(case: Case) -> Violations:
    """5: a writer that another has replaced is never followed again; only a release may come from anybody."""
    for device, history in case.converters.items():
        newest, replaced = NOBODY, set[int]()
        for frame in (received.frame for received in history.received):
            if not (frame.accepted and frame.enable) or frame.epoch == newest:
                continue
            returns = frame.epoch in replaced and not later(frame.epoch, newest)
            if returns or frame.epoch == NOBODY:
                yield BrokenInvariant(5, frame.time, device, f"frame of epoch {frame.epoch} after one of {newest}")
            replaced.add(newest)
            newest = frame.epoch


def releases_followed(case: Case) -> Violations:
    """17: a converter that answers follows a release, whoever commanded it before."""
    answered = Outcome.VERIFIED, Outcome.REJECTED
    for device, history in case.converters.items():
        for attempt in (a for a in history.attempts if a.s_kva is None and a.outcome in answered):
            by = attempt.time + timedelta(seconds=RELEASED_S)
            unreachable = case.during(attempt.time, *UNREACHABLE, device=device)
            if by > case.end or unreachable or _safe_within(history, attempt.time, by) or _succeeded(history, attempt):
                continue
            yield BrokenInvariant(
                17, attempt.time, device, f"released, {attempt.outcome}, not safe {RELEASED_S:g} s later"
            )


def unverified_writes_alarmed(case: Case) -> Violations:
    """17: a write that was not read back is an alarm of its converter within two cycles."""
    cycles = {point.time for point in case.histories.service if point.mode == ACTIVE}
    alarms = {(alarm.time, alarm.alarm) for alarm in case.histories.alarms if alarm.standing}
    for device, history in case.converters.items():
        told = {at for at, alarm in alarms if alarm == f"{device} {WRITE_ALARM}"}
        for attempt in history.attempts:
            failed = attempt.outcome in (Outcome.REJECTED, Outcome.UNKNOWN)
            if not failed or attempt.guardian or attempt.rung in _STOPPING or case.during(attempt.time, Kind.DISK):
                continue
            by = attempt.time + timedelta(seconds=ALARM_CYCLES * case.site.cycle_s)
            lived = any(attempt.time <= at <= by for at in cycles)
            if lived and not any(attempt.time <= at <= by for at in told):
                yield BrokenInvariant(17, attempt.time, device, f"{attempt.outcome}, and no alarm")


def twins_found(case: Case) -> Violations:
    """21: of two services that are ACTIVE on one plant, at least one has found out and given way within a minute."""
    allowed_s = TWINS_S + case.site.cycle_s
    for ours, theirs in product(_active(case.histories.audit), _active(case.histories.twin)):
        since, until = max(ours[0], theirs[0]), min(ours[1], theirs[1])
        if (lasts_s := (until - since).total_seconds()) > allowed_s:
            yield BrokenInvariant(21, since, None, f"two services {ACTIVE} for {lasts_s:g} s, allowed {allowed_s:g} s")


def _active(trail: Trail) -> Iterator[tuple[datetime, datetime]]:
    """Times in which a service was ACTIVE; the last one ends with its trail, which every cycle continues."""
    changes = modes_of_trail(trail)
    ends = (*(since for since, _ in changes[1:]), *(record.time for record in trail[-1:]))
    return ((since, until) for (since, mode), until in zip(changes, ends, strict=False) if mode == ACTIVE)


def _commands(attempt: RecordedWrite) -> bool:
    return attempt.verified and attempt.s_kva is not None


def _safe_within(history: ConverterHistory, since: datetime, by: datetime) -> bool:
    hold = history.held(since)
    return hold is None or hold.safe or any(hold.safe and since <= hold.time <= by for hold in history.holds)


def _succeeded(history: ConverterHistory, release: RecordedWrite) -> bool:
    """Whether the guardian has left the converter to a new writer."""
    begun = release.time - timedelta(seconds=RELEASED_S), release.time + timedelta(seconds=RELEASED_S)
    return release.guardian and any(_commands(a) and begun[0] <= a.time <= begun[1] for a in history.attempts)
