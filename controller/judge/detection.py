"""Traces that a fault leaves in readings, writes, decisions, alarms and MPC runs.

Each function yields the times of its traces, from the beginning of the fault to its recovery.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from controller.judge.case import PANEL_STATES, RECOVERY_S, Case, InjectedFault, Kind
from controller.judge.histories import ProsumerCycle
from core.devices import Outcome, Quality
from realtime.fallback import Rung
from realtime.reasons import Reason
from realtime.timing import USE_DATA_S

STOP = "stop"
"""Reason of the releases at the end of a service."""
WARNING_REASONS = frozenset(
    {
        *(Reason.DATA_HELD, Reason.DATA_LOST, Reason.STOPPED, Reason.NO_READBACK, Reason.CHAIN_FAILED),
        *(Reason.SOC_ESTIMATED, Reason.BEYOND_BATTERY, Reason.CAPABILITY, Reason.SOC_UNREACHED, Reason.RAMP_EXCEEDED),
    }
)
"""Reasons by which a cycle reports a problem with a device."""


@dataclass(frozen=True)
class _Window:
    case: Case
    fault: InjectedFault
    devices: Sequence[str]

    def covers(self, at: datetime) -> bool:
        return self.fault.begins <= at <= self.fault.ends + timedelta(seconds=RECOVERY_S)


def traces(case: Case, fault: InjectedFault, devices: Sequence[str]) -> Iterator[datetime]:
    """Times at which a history shows a fault that may disturb ``devices``, in no order."""
    window = _Window(case, fault, devices)
    kinds = (_readings, _writes, _decisions, _alarms, _plans)
    return (at for at in chain.from_iterable(kind(window) for kind in kinds) if window.covers(at))


def _readings(window: _Window) -> Iterator[datetime]:
    for point in window.case.histories.devices:
        bad = point.quality != Quality.GOOD or (point.age_s or 0.0) > USE_DATA_S or point.state in PANEL_STATES
        if bad and point.device in window.devices:
            yield point.time


def _writes(window: _Window) -> Iterator[datetime]:
    """Writes that were not verified, releases before the end of the service, and writes of the guardian."""
    converters = window.case.converters
    for attempt in (attempt for d in window.devices if d in converters for attempt in converters[d].attempts):
        released = attempt.s_kva is None and attempt.rung != STOP
        if attempt.guardian or released or attempt.outcome in (Outcome.REJECTED, Outcome.UNKNOWN):
            yield attempt.ended or attempt.time


def _decisions(window: _Window) -> Iterator[datetime]:
    converters_of, before = window.case.site.converters_of, dict[str, ProsumerCycle]()
    concerned = {name for name, devices in converters_of.items() if set(devices) & set(window.devices)}
    for decision in (d for d in window.case.histories.decisions if d.prosumer in concerned):
        if decision.time < window.fault.begins:
            before[decision.prosumer] = decision
        elif _degraded(decision, before.get(decision.prosumer)):
            yield decision.time


def _degraded(decision: ProsumerCycle, before: ProsumerCycle | None) -> bool:
    """Whether a cycle reports a problem that the last cycle before the fault did not have."""
    known = WARNING_REASONS.intersection(before.reasons) if before else frozenset()
    fell = decision.rung != Rung.USE and (before is None or before.rung == Rung.USE)
    return fell or bool(WARNING_REASONS.intersection(decision.reasons) - known)


def _alarms(window: _Window) -> Iterator[datetime]:
    """Alarms raised since the fault; if it has a device, only those that name it."""
    alarms, fault = window.case.histories.alarms, window.fault
    standing = {alarm.alarm: alarm.standing for alarm in alarms if alarm.time < fault.begins}
    for alarm in alarms:
        named = fault.device is None or fault.device in f"{alarm.alarm} {alarm.text}"
        if alarm.standing and named and not standing.get(alarm.alarm):
            yield alarm.time


def _plans(window: _Window) -> Iterator[datetime]:
    """MPC runs without an adopted plan, for faults of the planner."""
    if window.fault.kind is Kind.PLANNER:
        yield from (run.time for run in window.case.histories.plans if not run.adopted)
