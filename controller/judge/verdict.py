"""The verdict on a run under faults, from its recorded histories alone.

Times count from the injection, recovery from the end of the fault. A violation is attributed to the last fault that
began before it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.judge.case import PANEL_STATES, RECOVERY_S, BrokenInvariant, Case, CaseConfig, InjectedFault, Kind
from controller.judge.cycles import ACTIVE, lost_points
from controller.judge.detection import traces
from controller.judge.evidence import SAFE_WITHIN_S
from controller.judge.histories import Histories
from controller.judge.invariants import violations
from core.devices import Quality
from realtime.fallback import Rung

DETECTION_S: Mapping[Kind, float] = {Kind.LINK: 15.0, Kind.DATA: 15.0, Kind.STALE: 45.0}
"""Time within which a fault of these kinds must be detected."""
MADE_SAFE = (Kind.LINK, Kind.DATA, Kind.STALE, Kind.DEVICE, Kind.DEATH, Kind.STOP)
"""Faults whose devices must become safe unless they are written again."""


@dataclass(frozen=True)
class Verdict:
    """Effects of one fault; a time is None if its event did not occur.

    Attributes:
        detected_s: until its first trace in any history.
        safe_s: until the last of its devices that became safe.
        recovered_s: from its end until all of its devices followed a plan again.
        late: limits of time that were exceeded.
    """

    fault: InjectedFault
    injected_at: datetime
    detected_s: float | None
    safe_s: float | None
    recovered_s: float | None
    broken: tuple[BrokenInvariant, ...]
    points_lost: int
    late: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Nothing is broken, lost or late; with a full disk points may be lost, which were then counted as dropped."""
        lost = self.points_lost and self.fault.kind is not Kind.DISK
        return not self.broken and not self.late and not lost


@dataclass(frozen=True)
class Judgement:
    """One verdict per fault, and the invariants broken before the first fault."""

    verdicts: tuple[Verdict, ...]
    before_faults: tuple[BrokenInvariant, ...]

    @property
    def passed(self) -> bool:
        """Whether no invariant was broken before the faults, and every verdict has passed."""
        return not self.before_faults and all(verdict.passed for verdict in self.verdicts)


def judge(histories: Histories, site: CaseConfig, faults: Sequence[InjectedFault], end: datetime) -> Judgement:
    """Judge a run under ``faults`` whose plant stopped at ``end``, a time of the clock master since histories may end
    early.
    """
    case = Case.of(histories, site, faults, end)
    shares: dict[InjectedFault | None, list[BrokenInvariant]] = {}
    for broken in violations(case):
        shares.setdefault(_cause(case, broken.time), []).append(broken)
    lost = [_cause(case, at) for at, _ in lost_points(case)]
    verdicts = (_verdict(case, fault, tuple(shares.get(fault, ())), lost.count(fault)) for fault in case.faults)
    return Judgement(tuple(verdicts), tuple(shares.get(None, ())))


def _cause(case: Case, at: datetime) -> InjectedFault | None:
    return next((fault for fault in reversed(case.faults) if fault.begins <= at), None)


def _verdict(case: Case, fault: InjectedFault, broken: tuple[BrokenInvariant, ...], points_lost: int) -> Verdict:
    devices = sorted(case.site.converters if fault.device is None else case.disturbed(fault))
    detected_s = _seconds_since(fault.begins, [min(traces(case, fault, devices), default=None)])
    safe_s = None
    if fault.kind in MADE_SAFE or fault.device is not None:
        safe_s = _seconds_since(fault.begins, [at for device in devices if (at := _safe_at(case, device, fault))])
    recovered_s = _seconds_since(fault.ends, [_recovered_at(case, device, fault.ends) for device in devices])
    late = (
        *_detection_late(fault, detected_s),
        *_safe_late(case, fault, devices),
        *_recovery_late(case, fault, recovered_s),
    )
    return Verdict(fault, fault.begins, detected_s, safe_s, recovered_s, broken, points_lost, late)


def _seconds_since(begin: datetime, times: Sequence[datetime | None]) -> float | None:
    """Time from ``begin`` to the last of ``times``, s; None if one of them is None."""
    known = [at for at in times if at is not None]
    return (max(known) - begin).total_seconds() if known and len(known) == len(times) else None


def _safe_at(case: Case, device: str, fault: InjectedFault) -> datetime | None:
    """When a converter became safe after a fault: by its own state, by its lease, or by a setpoint of a safe rung."""
    if device not in case.converters:
        return None
    since, until = fault.begins, fault.ends + timedelta(seconds=RECOVERY_S)
    hold = case.converters[device].held(since)
    if hold is None or hold.safe:
        return since
    safe_states = (*PANEL_STATES, "safe")
    times = [hold.time for hold in case.converters[device].holds if hold.safe]
    times += [point.time for point in case.histories.devices if point.device == device and point.state in safe_states]
    return min((at for at in times if since < at <= until), default=None)


def _recovered_at(case: Case, device: str, since: datetime) -> datetime | None:
    """When a converter was first written by its plan again and read back; for a meter, when its reading was good."""
    if device not in case.converters:
        points = (p for p in case.histories.devices if p.device == device and p.time >= since)
        return next((point.time for point in points if point.quality == Quality.GOOD), None)
    attempts = (a for a in case.converters[device].attempts if a.time >= since and a.verified)
    return next((attempt.ended for attempt in attempts if attempt.rung == Rung.USE), None)


def _detection_late(fault: InjectedFault, detected_s: float | None) -> Iterator[str]:
    limit_s = DETECTION_S.get(fault.kind)
    if limit_s is not None and fault.noticeable and (detected_s is None or detected_s > limit_s):
        yield f"detected after {_text(detected_s)}, allowed {limit_s:g} s"


def _safe_late(case: Case, fault: InjectedFault, devices: Sequence[str]) -> Iterator[str]:
    """Devices that were not written since the fault and did not become safe in time."""
    latest = fault.begins + timedelta(seconds=SAFE_WITHIN_S)
    if fault.kind not in MADE_SAFE or case.end < latest:
        return
    for device in (device for device in devices if device in case.converters):
        safe_at = _safe_at(case, device, fault)
        commanded = any(a.verified and fault.begins < a.time <= latest for a in case.converters[device].attempts)
        if not commanded and (safe_at is None or safe_at > latest):
            yield f"{device} safe after {_text(_seconds_since(fault.begins, [safe_at]))}, allowed {SAFE_WITHIN_S:g} s"


def _recovery_late(case: Case, fault: InjectedFault, recovered_s: float | None) -> Iterator[str]:
    """Devices that did not recover in time.

    Excepted are faults that end for good or after the run, and a service that has yielded to another writer.
    """
    yielded = fault.kind is Kind.WRITER and ACTIVE not in case.modes_at(fault.ends)
    if fault.kind is Kind.STOP or yielded or fault.ends >= case.end:
        return
    if recovered_s is None or recovered_s > RECOVERY_S:
        yield f"recovered after {_text(recovered_s)}, allowed {RECOVERY_S:g} s"


def _text(seconds: float | None) -> str:
    return "none in the run" if seconds is None else f"{seconds:g} s"
