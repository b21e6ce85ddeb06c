"""The invariant of the guardian: ACTIVE needs a living one. Whether it lives is known from the injected faults alone,
never from what the service believes.
"""

from datetime import datetime, timedelta

from controller.judge.case import RESTART_S, BrokenInvariant, Case, InjectedFault, Kind
from controller.judge.cycles import ACTIVE, Violations

ALARM = "service guardian"
"""Name of the alarm in telemetry."""
ABSENT_S, RESUMED_S = 300.0, 60.0
"""Time without a guardian after which no service is ACTIVE: one that was, and one that has resumed ACTIVE."""
NOTICED_CYCLES = 2
"""Cycles within which the end of a guardian, or its return, is noticed, one that hangs included."""


def active_only_guarded(case: Case) -> Violations:
    """22: nobody becomes ACTIVE without a living guardian; its end is an alarm at once, and MONITOR after 5 minutes."""
    absences = [fault for fault in case.faults if fault.kind is Kind.GUARDIAN]
    for fault in absences:
        yield from _entered(case, fault)
        yield from _unnoticed(case, fault)
        yield from _stayed(case, fault)
    noticed_s = NOTICED_CYCLES * case.site.cycle_s
    for alarm in case.histories.alarms:
        known = any(fault.covers(alarm.time, after_s=noticed_s) for fault in absences)
        if alarm.alarm == ALARM and alarm.standing and not known:
            yield BrokenInvariant(22, alarm.time, None, "alarm about a guardian that lives")


def _entered(case: Case, fault: InjectedFault) -> Violations:
    """ACTIVE by command during the absence; that a guardian hangs shows within a cycle."""
    known = fault.begins + timedelta(seconds=case.site.cycle_s if fault.hangs else 0.0)
    for since, mode in case.modes:
        if mode == ACTIVE and known <= since < fault.ends and not _resumed(case, since):
            yield BrokenInvariant(22, since, None, f"{ACTIVE} without a living guardian")


def _unnoticed(case: Case, fault: InjectedFault) -> Violations:
    """No alarm soon after its beginning, though the service was ACTIVE."""
    latest = fault.begins + timedelta(seconds=NOTICED_CYCLES * case.site.cycle_s)
    active = any(p.mode == ACTIVE and fault.begins < p.time <= latest for p in case.histories.service)
    raised = (a.time for a in case.histories.alarms if a.alarm == ALARM and a.standing)
    if active and latest < min(fault.ends, case.end) and not any(fault.begins <= at <= latest for at in raised):
        yield BrokenInvariant(22, latest, None, f"no alarm within {NOTICED_CYCLES} cycles without a guardian")


def _stayed(case: Case, fault: InjectedFault) -> Violations:
    """ACTIVE for longer than allowed."""
    began, allowed_s = fault.begins, ABSENT_S
    for since, mode in case.modes:
        if mode == ACTIVE and fault.begins < since < fault.ends and _resumed(case, since):
            began, allowed_s = since, RESUMED_S
    latest = began + timedelta(seconds=allowed_s + NOTICED_CYCLES * case.site.cycle_s)
    late = (p.time for p in case.histories.service if p.mode == ACTIVE and latest < p.time < fault.ends)
    if (at := min(late, default=None)) is not None:
        yield BrokenInvariant(22, at, None, f"{ACTIVE} for {(at - began).total_seconds():.0f} s without a guardian")


def _resumed(case: Case, at: datetime) -> bool:
    return case.during(at, Kind.DEATH, after_s=RESTART_S + case.site.cycle_s)
