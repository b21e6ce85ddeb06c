"""Invariants of recorded cycles: data, charge, plans, points, time, modes. Each function yields its violations.

The number that begins a docstring is that of the invariant in docs/reliability.md.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from math import isfinite

from controller.api.attempts import EVENT as API_NOTE
from controller.api.endpoints import PREFIX
from controller.api.tokens import Role
from controller.judge.case import MODE_NOTE, RECOVERY_S, RESTART_S, BrokenInvariant, Case, Kind
from controller.judge.histories import ProsumerCycle
from controller.record.audit_lines import AuditNote
from core.devices import Quality
from realtime.fallback import Rung
from realtime.storage import soc_change
from realtime.timing import CYCLE_DEADLINE_S, FRESH_POLLS, HOLD_DATA_S, LEASE_S, S_PER_H, USE_DATA_S

SOC_TOLERANCE = 1e-6
FOR_GOOD_S = 1e6
"""Longer than any run: a lying device may shift the estimated charge for the rest of it."""
WIRE_S = 1.0
"""Longest delay that a fault may cause to another device."""
COMMAND_NOTE = "command"
"""Event of the audit trail: what an operator asked for, such as "mode active"."""
ACTIVE = "active"
CONFIRMED = f"POST {PREFIX}/mode by {Role.OPERATOR}: 200 {ACTIVE}"
"""Detail of the audit trail's event :data:`API_NOTE` when ACTIVE was set by HTTP."""

Violations = Iterator[BrokenInvariant]


def data_young_enough(case: Case) -> Violations:
    """3: data that are used or held are not older than allowed, and unknown values are empty, not 0."""
    age_s = {(point.time, point.device): point.age_s for point in case.histories.devices}
    allowed_s = {Rung.USE: USE_DATA_S, Rung.HOLD: HOLD_DATA_S}
    for decision, device in case.decisions:
        if (decision.time, device) not in age_s:
            continue
        age, rung = age_s[decision.time, device], case.rung(decision, device)
        if rung in allowed_s and _older(age, allowed_s[Rung(rung)]):
            yield BrokenInvariant(3, decision.time, device, f"rung {rung} on data of {age} s")
        if decision.p_measured_kw is not None and _older(age, case.site.cycle_s):
            what = f"measured {decision.p_measured_kw} kW, last read {age} s ago"
            yield BrokenInvariant(3, decision.time, device, what)
    for node in case.histories.nodes:
        meter = case.site.meters.get(node.node)
        if node.v_pu is None or meter is None or (node.time, meter) not in age_s:
            continue
        if _older(age := age_s[node.time, meter], USE_DATA_S):
            yield BrokenInvariant(3, node.time, meter, f"measured {node.v_pu} p.u., last read {age} s ago")


def soc_in_band(case: Case) -> Violations:
    """8: charge is in its band now, and at the end of the lease if nobody writes again.

    A lying device may shift the estimate out of the band; then it must not move further out.
    """
    for decision in case.histories.decisions:
        battery = next((limits.battery for limits in case.site.limits_of(decision.prosumer)), None)
        if battery is None or decision.soc is None:
            continue
        devices = case.site.converters_of[decision.prosumer]
        device, lying = ", ".join(devices), partial(case.during, decision.time, Kind.DEVICE, after_s=FOR_GOOD_S)
        low, high = battery.soc_min - SOC_TOLERANCE, battery.soc_max + SOC_TOLERANCE
        if not low <= decision.soc <= high and not any(lying(device=name) for name in devices):
            yield BrokenInvariant(8, decision.time, device, f"state of charge {decision.soc}")
        at_lapse = decision.soc + soc_change(battery, decision.battery_kw or 0.0, LEASE_S / S_PER_H)
        if at_lapse < min(low, decision.soc) or at_lapse > max(high, decision.soc):
            yield BrokenInvariant(8, decision.time, device, f"state of charge {at_lapse:.4f} when the lease ends")


def plans_sound(case: Case) -> Violations:
    """9: an adopted plan has known, finite residuals; its targets are within the converter's rating."""
    for run in case.histories.plans:
        residuals = (run.gap_rel, run.violation_pu)
        if run.adopted and run.status != "uncoordinated" and not all(r is not None and isfinite(r) for r in residuals):
            what = f"plan adopted as {run.status}, gap {run.gap_rel}, {run.violation_pu} p.u."
            yield BrokenInvariant(9, run.time, None, what)
    for decision in case.histories.decisions:
        limits = case.site.limits_of(decision.prosumer)
        target_kva = complex(decision.p_target_kw or 0.0, decision.q_target_kvar or 0.0)
        if limits and not abs(target_kva) <= sum(one.s_max_kva for one in limits):
            device = ", ".join(case.site.converters_of[decision.prosumer])
            yield BrokenInvariant(9, decision.time, device, f"target {target_kva} kVA")


def points_delivered(case: Case) -> Violations:
    """11: every point is in telemetry, or was counted as dropped."""
    lost = lost_points(case)
    dropped = case.histories.service[-1].dropped if case.histories.service else 0.0
    if len(lost) > dropped:
        for at, name in lost:
            yield BrokenInvariant(11, at, name, f"no point; {len(lost)} are missing, {dropped:g} counted as dropped")


def lost_points(case: Case) -> list[tuple[datetime, str]]:
    """Points of cycles and MPC runs missing in telemetry, by time and name (device, prosumer, service or mpc).

    A cycle is a time at which something was decided, written or counted. A cycle during a controller's death is
    excluded.
    """
    histories = case.histories
    wrote = {a.time for r in case.converters.values() for a in r.attempts if a.rung in tuple(Rung) and not a.guardian}
    cycles = wrote | {decision.time for decision in histories.decisions} | {point.time for point in histories.service}
    devices = {(point.time, point.device) for point in histories.devices}
    service = {point.time for point in histories.service}
    lost = []
    for at in sorted(at for at in cycles if not case.during(at, Kind.DEATH, Kind.STOP)):
        lost += [(at, "service")] if at not in service else []
        lost += [(at, name) for name in case.site.links if (at, name) not in devices]
        lost += [(at, name) for name in case.site.prosumers if (at, name) not in histories.stored_prosumers]
    return lost + [(run.time, "mpc") for run in histories.plans if run.time not in histories.stored_plans]


def cycles_on_time(case: Case) -> Violations:
    """12, 13: cycles follow each other without a gap, whatever the wall clock and the devices do."""
    times = [*sorted({decision.time for decision in case.histories.decisions}), case.end]
    for before, after in pairwise(times):
        gap_s = (after - before).total_seconds()
        if gap_s > case.site.cycle_s + WIRE_S and not case.unattended(after) and not case.unattended(before):
            clock = case.during(after, Kind.CLOCK)
            yield BrokenInvariant(12 if clock else 13, after, None, f"no cycle for {gap_s:g} s")
    for point in case.histories.service:
        if point.cycle_ms > 1e3 * CYCLE_DEADLINE_S:
            yield BrokenInvariant(13, point.time, None, f"a cycle of {point.cycle_ms:.0f} ms")


def others_undisturbed(case: Case) -> Violations:
    """13: a device that no fault disturbs answers and is written as usual."""
    for point in case.histories.devices:
        if case.unaffected(point.device, point.time) and (point.latency_ms or 0.0) > 1e3 * WIRE_S:
            yield BrokenInvariant(13, point.time, point.device, f"answered in {point.latency_ms:.0f} ms")
    written = {device: [r.frame.time for r in history.received] for device, history in case.converters.items()}
    for decision, device in case.decisions:
        if not _must_be_written(case, decision, device):
            continue
        index = bisect_left(written[device], decision.time)
        latest = decision.time + timedelta(seconds=WIRE_S)
        if index == len(written[device]) or written[device][index] > latest:
            yield BrokenInvariant(13, decision.time, device, f"no frame within {WIRE_S:g} s of its cycle")


def _must_be_written(case: Case, decision: ProsumerCycle, device: str) -> bool:
    return (
        not case.stopped(decision, device)
        and case.modes_at(decision.time) == {ACTIVE}
        and case.unaffected(device, decision.time)
    )


def safe_left_slowly(case: Case) -> Violations:
    """14: before the safe state is left there are three fresh readings and a valid plan.

    Telemetry has one reading per cycle: of those within three polls none may be other than good.
    """
    cycle_s, span_s = case.site.cycle_s, case.site.poll_s * (FRESH_POLLS - 1)
    needed = int(span_s / cycle_s) + 1
    for device in case.site.converters:
        points = [point for point in case.histories.devices if point.device == device]
        for before, now in pairwise(decision for decision, name in case.decisions if name == device):
            if case.rung(before, device) != Rung.SAFE or case.rung(now, device) == Rung.SAFE:
                continue
            since = now.time - timedelta(seconds=span_s)
            polls = [point.quality == Quality.GOOD for point in points if since <= point.time <= now.time]
            gap_s = (now.time - before.time).total_seconds()
            if len(polls) < needed or not all(polls) or gap_s > cycle_s + WIRE_S:
                what = f"left the safe state with {sum(polls)} of {needed} fresh readings"
                yield BrokenInvariant(14, now.time, device, what)
            if now.p_target_kw is None:
                yield BrokenInvariant(14, now.time, device, "left the safe state without a plan")


def modes_commanded(case: Case) -> Violations:
    """15: the mode is that of the audit trail, ACTIVE only by command or after a restart; only ACTIVE writes setpoints.

    With a full disk ACTIVE may be left without a record.
    """
    for point in case.histories.service:
        left = point.mode != ACTIVE and case.during(point.time, Kind.DISK, after_s=RECOVERY_S)
        if not left and point.mode not in (known := case.modes_at(point.time)):
            yield BrokenInvariant(15, point.time, None, f"mode {point.mode}, on record {' or '.join(sorted(known))}")
    for received in case.received():
        frame, attempt = received.frame, received.attempt
        ours = frame.enable and attempt is not None and not attempt.guardian
        if ours and ACTIVE not in case.modes_at(frame.time):
            yield BrokenInvariant(15, frame.time, frame.device, f"setpoint {frame.s_kva} kVA without being {ACTIVE}")
    for since, mode in case.modes[1:]:
        restarted = case.during(since, Kind.DEATH, after_s=RESTART_S + case.site.cycle_s)
        if mode == ACTIVE and not restarted and not _commanded(case, since):
            yield BrokenInvariant(15, since, None, "ACTIVE without a command")


def _commanded(case: Case, at: datetime) -> bool:
    """Whether an operator asked for ACTIVE since the previous change of mode."""
    before = [note for note in case.histories.audit if isinstance(note, AuditNote) and note.time <= at]
    changes = [index for index, note in enumerate(before) if note.event == MODE_NOTE]
    recent = before[changes[-2] if len(changes) > 1 else 0 :]
    return any(
        (note.event == COMMAND_NOTE and note.detail.startswith(f"{MODE_NOTE} {ACTIVE}"))
        or (note.event == API_NOTE and CONFIRMED in note.detail)
        for note in recent
    )


def _older(age_s: float | None, limit_s: float) -> bool:
    return age_s is None or not 0 <= age_s <= limit_s
