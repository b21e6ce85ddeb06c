"""Invariants of writes to the devices: frames, leases, writers, audit. Each function yields its violations.

The number that begins a docstring is that of the invariant in docs/reliability.md.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from math import isfinite

from controller.judge.case import BrokenInvariant, Case, Kind
from controller.judge.evidence import RESOLUTION_KVA, SAFE_WITHIN_S, WIRE_S, ExplainedFrame, RecordedWrite
from controller.judge.histories import ReceivedFrame
from controller.record.audit_lines import ATTEMPTED, AuditWrite
from core.epochs import later
from realtime.fallback import Rung
from realtime.timing import LEASE_S

RAMP_JITTER_S = 0.1
"""Two frames that are sent 30 s apart may arrive this much closer together."""

Violations = Iterator[BrokenInvariant]


def setpoints_inside_limits(case: Case) -> Violations:
    """1: a setpoint is finite and within the circle of its device, as rated here and as derated at the referee."""
    for received in case.received():
        frame = received.frame
        beyond = abs(frame.s_kva) > case.site.converters[frame.device].s_max_kva + RESOLUTION_KVA
        if {"finite", "circle"} & set(frame.violations) or (frame.enable and (beyond or not _finite(frame.s_kva))):
            yield BrokenInvariant(1, frame.time, frame.device, f"setpoint {frame.s_kva} kVA")


def ramps_kept(case: Case) -> Violations:
    """2: a frame that the device followed keeps its ramp, by the referee."""
    for received in case.received():
        frame = received.frame
        if frame.accepted and "ramp" in frame.violations:
            what = f"from {received.held_kva} to {frame.s_kva} kVA, faster than its ramp"
            yield BrokenInvariant(2, frame.time, frame.device, what)


def leases_live(case: Case) -> Violations:
    """4: every setpoint but the safe one has a lease, and no device keeps one that is not renewed."""
    for received in case.received():
        frame = received.frame
        leased = 0 < frame.lease_s <= LEASE_S or not frame.enable or frame.s_kva == 0
        if frame.accepted and (not leased or "lease" in frame.violations):
            yield BrokenInvariant(
                4, frame.time, frame.device, f"setpoint {frame.s_kva} kVA with a lease of {frame.lease_s} s"
            )
    for device, history in case.converters.items():
        verified = [attempt for attempt in history.attempts if attempt.verified]
        renewed = [*(attempt.time for attempt in verified[1:]), case.end]
        for attempt, until in zip(verified, renewed, strict=True):
            latest = attempt.time + timedelta(seconds=SAFE_WITHIN_S)
            hold = history.held(latest)
            abandoned = not attempt.safe and latest < until and hold is not None and not hold.safe
            if hold and abandoned and not case.during(latest, Kind.WRITER, device=device):
                yield BrokenInvariant(
                    4, latest, device, f"still at {hold.s_kva} kVA, {SAFE_WITHIN_S:g} s after the last write"
                )


def everything_audited(case: Case) -> Violations:
    """6: every frame has an attempt, every attempt has an outcome unless its writer died."""
    for received in case.received():
        frame = received.frame
        fenced = not frame.enable and frame.refusal is not None
        unrecorded = not frame.enable and case.during(frame.time, Kind.DISK)
        if received.attempt is None and not fenced and not unrecorded:
            yield BrokenInvariant(6, frame.time, frame.device, f"frame {frame.s_kva} kVA that no record announced")
    for attempt in (attempt for history in case.converters.values() for attempt in history.attempts):
        if attempt.outcome is None and not case.unattended(attempt.time):
            yield BrokenInvariant(6, attempt.time, attempt.device, f"attempt {attempt.seq} without an outcome")


def trails_whole(case: Case) -> Violations:
    """6: no line of an audit trail is missing, and no number was used twice."""
    for trail in (case.histories.audit, case.histories.guardian, *case.histories.stops):
        begun: set[int] = set()
        last = 0
        for record in trail:
            if isinstance(record, AuditWrite) and record.outcome != ATTEMPTED:
                if record.seq not in begun:
                    yield BrokenInvariant(
                        6, record.time, record.device, f"outcome of {record.seq}, which nobody attempted"
                    )
                continue
            if record.seq in begun:
                yield BrokenInvariant(6, record.time, None, f"number {record.seq} used twice")
            if record.seq > last + 1 and not case.during(record.time, Kind.DISK, after_s=case.site.cycle_s):
                yield BrokenInvariant(6, record.time, None, f"records {last + 1} to {record.seq - 1} are missing")
            begun.add(record.seq)
            last = max(last, record.seq)


def trails_chained(case: Case) -> Violations:
    """19: no line of an audit trail was changed, removed, torn or cut off, whoever did it."""
    for fault in case.histories.trail_faults:
        yield BrokenInvariant(19, case.end, None, fault)


def written_is_read_back(case: Case) -> Violations:
    """7: a write that is recorded as verified was received and followed by the device."""
    for device, history in case.converters.items():
        delivered = {(a.guardian, a.seq, a.time) for r in history.received if (a := _delivered(r))}
        for attempt in (attempt for attempt in history.attempts if attempt.verified and attempt.ended):
            hold = history.held(attempt.ended + timedelta(seconds=WIRE_S)) if attempt.ended else None
            released = attempt.s_kva is None and (hold is None or hold.safe)
            if not released and (attempt.guardian, attempt.seq, attempt.time) not in delivered:
                yield BrokenInvariant(7, attempt.time, device, f"attempt {attempt.seq} verified, but not followed")


def restarts_without_bump(case: Case) -> Violations:
    """10: a new writer begins with the setpoint that the device holds, or a smaller one, and with a plan known before.

    From the safe state it may go as far as the ramp allows since the release.
    """
    for device, history in case.converters.items():
        followed = [received for received in history.received if received.frame.accepted]
        ours = [k for k, r in enumerate(followed) if r.attempt and not r.attempt.guardian]
        for mine, now in pairwise(ours):
            first = followed[now]
            if not later(first.frame.epoch, followed[mine].frame.epoch) or not first.frame.enable:
                continue
            same = (first.frame.epoch, first.frame.time)
            last = [followed[k] for k in ours if (followed[k].frame.epoch, followed[k].frame.time) == same][-1]
            yield from _bumps(case, followed[now - 1].frame, first.held_kva, last)
            known = {attempt.plan_id for attempt in history.attempts if attempt.time < first.frame.time}
            attempt = last.attempt
            if (
                attempt
                and attempt.rung != Rung.SAFE
                and attempt.plan_id not in known
                and not _plan_recorded(case, attempt)
            ):
                yield BrokenInvariant(
                    10, first.frame.time, device, f"began with {attempt.plan_id}, a plan unknown before"
                )


def _bumps(case: Case, before: ReceivedFrame, held_kva: complex, first: ExplainedFrame) -> Violations:
    device, s_kva, at = first.frame.device, first.frame.s_kva, first.frame.time
    ramp_s = (at - before.time).total_seconds() + RAMP_JITTER_S
    reach_kva = case.site.converters[device].ramp_kva_per_s * ramp_s + RESOLUTION_KVA
    grows = abs(s_kva) > abs(held_kva) + 2 * RESOLUTION_KVA
    if abs(s_kva - held_kva) > reach_kva or (grows and before.enable):
        yield BrokenInvariant(10, at, device, f"began with {s_kva} kVA, the device held {held_kva} kVA")


def _plan_recorded(case: Case, attempt: RecordedWrite) -> bool:
    """Whether its plan, which is named by the second in which it was made, comes from an MPC run that was adopted.

    If the journal was lost with the last writer, the plan may also have been made since.
    """
    try:
        made = datetime.fromisoformat(attempt.plan_id.partition(" ")[2])
    except ValueError:
        return False
    lost = (fault.begins.replace(microsecond=0) for fault in case.faults if fault.loses_journal)
    if any(since <= made <= attempt.time for since in lost):
        return True
    return made in {run.time.replace(microsecond=0) for run in case.histories.plans if run.adopted}


def _delivered(received: ExplainedFrame) -> RecordedWrite | None:
    """The attempt whose complete setpoint an accepted frame delivered."""
    frame, attempt = received.frame, received.attempt
    if not frame.accepted or attempt is None or attempt.ended is None:
        return None
    whole = frame.enable and attempt.s_kva is not None and abs(frame.s_kva - attempt.s_kva) <= 2 * RESOLUTION_KVA
    return attempt if whole and frame.time <= attempt.ended + timedelta(seconds=WIRE_S) else None


def _finite(s_kva: complex) -> bool:
    return isfinite(s_kva.real) and isfinite(s_kva.imag)
