"""The verdict on a run under faults, from its recorded histories alone.

Times count from the injection, recovery from the end of the fault. A violation belongs to the last fault that began
before it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.judge.case import RECOVERY_S, Broken, Case, CaseConfig, InjectedFault, Kind
from controller.judge.cycles import ACTIVE, lost_points
from controller.judge.evidence import SAFE_WITHIN_S
from controller.judge.histories import Histories
from controller.judge.invariants import violations
from controller.judge.signs import PANEL_STATES, signs
from core.devices import Quality
from realtime.fallback import Rung

DETECTION_S: Mapping[Kind, float] = {Kind.LINK: 15.0, Kind.DATA: 15.0, Kind.STALE: 45.0}
"""By when a fault of these kinds is noticed."""
MADE_SAFE = (Kind.LINK, Kind.DATA, Kind.STALE, Kind.DEVICE, Kind.DEATH, Kind.STOP)
"""Faults whose devices go safe unless somebody goes on writing them."""


@dataclass(frozen=True)
class Verdict:
    """What became of one fault; None is "not seen".

    Attributes:
        detected_s: the first sign of it in any history.
        safe_s: the last of those of its devices that went safe.
        recovered_s: after its end, all of its devices followed a plan again.
        late: limits of time that were not kept.
    """

    fault: InjectedFault
    injected_at: datetime
    detected_s: float | None
    safe_s: float | None
    recovered_s: float | None
    broken: tuple[Broken, ...]
    points_lost: int
    late: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Judged safe: nothing broken, lost or late; a full disk may cost points, which then were counted."""
        lost = self.points_lost and self.fault.kind is not Kind.DISK
        return not self.broken and not self.late and not lost


@dataclass(frozen=True)
class Judgement:
    """One verdict per fault, and what was broken before the first one."""

    verdicts: tuple[Verdict, ...]
    undisturbed: tuple[Broken, ...]

    @property
    def passed(self) -> bool:
        """Whether all is well."""
        return not self.undisturbed and all(verdict.passed for verdict in self.verdicts)


def judge(histories: Histories, site: CaseConfig, faults: Sequence[InjectedFault], end: datetime) -> Judgement:
    """Judge a run under ``faults`` whose plant stopped at ``end``: by the clock master, for histories may end early."""
    case = Case.of(histories, site, faults, end)
    shares: dict[InjectedFault | None, list[Broken]] = {}
    for broken in violations(case):
        shares.setdefault(_cause(case, broken.time), []).append(broken)
    lost = [_cause(case, at) for at, _ in lost_points(case)]
    verdicts = (_verdict(case, fault, tuple(shares.get(fault, ())), lost.count(fault)) for fault in case.faults)
    return Judgement(tuple(verdicts), tuple(shares.get(None, ())))


def _cause(case: Case, at: datetime) -> InjectedFault | None:
    return next((fault for fault in reversed(case.faults) if fault.begins <= at), None)


def _verdict(case: Case, fault: InjectedFault, broken: tuple[Broken, ...], points_lost: int) -> Verdict:
    devices = sorted(case.site.converters if fault.device is None else case.disturbed(fault))
    detected_s = _since(fault.begins, [min(signs(case, fault, devices), default=None)])
    safe_s = None
    if fault.kind in MADE_SAFE or fault.device is not None:
        safe_s = _since(fault.begins, [at for device in devices if (at := _safe_at(case, device, fault))])
    recovered_s = _since(fault.ends, [_recovered_at(case, device, fault.ends) for device in devices])
    late = (*_detection_late(fault, detected_s), *_safe_late(case, fault, devices), *_late(case, fault, recovered_s))
    return Verdict(fault, fault.begins, detected_s, safe_s, recovered_s, broken, points_lost, late)


def _since(begin: datetime, times: Sequence[datetime | None]) -> float | None:
    """Until the last of them; None if one never came."""
    known = [at for at in times if at is not None]
    return (max(known) - begin).total_seconds() if known and len(known) == len(times) else None


def _safe_at(case: Case, device: str, fault: InjectedFault) -> datetime | None:
    """When a fault left a converter safe: by its own account, by its lease, or by a setpoint of a safe rung."""
    if device not in case.reports:
        return None
    since, until = fault.begins, fault.ends + timedelta(seconds=RECOVERY_S)
    hold = case.reports[device].held(since)
    if hold is None or hold.safe:
        return since
    said = (*PANEL_STATES, "safe")
    times = [hold.time for hold in case.reports[device].holds if hold.safe]
    times += [point.time for point in case.histories.devices if point.device == device and point.state in said]
    return min((at for at in times if since < at <= until), default=None)


def _recovered_at(case: Case, device: str, since: datetime) -> datetime | None:
    """When a converter was first written by its plan again, and read back; a meter: when it read well."""
    if device not in case.reports:
        points = (p for p in case.histories.devices if p.device == device and p.time >= since)
        return next((point.time for point in points if point.quality == Quality.GOOD), None)
    attempts = (a for a in case.reports[device].attempts if a.time >= since and a.verified)
    return next((attempt.ended for attempt in attempts if attempt.rung == Rung.USE), None)


def _detection_late(fault: InjectedFault, detected_s: float | None) -> Iterator[str]:
    limit_s = DETECTION_S.get(fault.kind)
    if limit_s is not None and fault.noticeable and (detected_s is None or detected_s > limit_s):
        yield f"detected after {_shown(detected_s)}, allowed {limit_s:g} s"


def _safe_late(case: Case, fault: InjectedFault, devices: Sequence[str]) -> Iterator[str]:
    """A device that nobody wrote since must be safe in time."""
    latest = fault.begins + timedelta(seconds=SAFE_WITHIN_S)
    if fault.kind not in MADE_SAFE or case.end < latest:
        return
    for device in (device for device in devices if device in case.reports):
        safe_at = _safe_at(case, device, fault)
        commanded = any(a.verified and fault.begins < a.time <= latest for a in case.reports[device].attempts)
        if not commanded and (safe_at is None or safe_at > latest):
            yield f"{device} safe after {_shown(_since(fault.begins, [safe_at]))}, allowed {SAFE_WITHIN_S:g} s"


def _late(case: Case, fault: InjectedFault, recovered_s: float | None) -> Iterator[str]:
    """What ends for good, or after the run, need not recover; nor a service that has yielded to another writer."""
    yielded = fault.kind is Kind.WRITER and ACTIVE not in case.modes_at(fault.ends)
    if fault.kind is Kind.STOP or yielded or fault.ends >= case.end:
        return
    if recovered_s is None or recovered_s > RECOVERY_S:
        yield f"recovered after {_shown(recovered_s)}, allowed {RECOVERY_S:g} s"


def _shown(seconds: float | None) -> str:
    return "none in the run" if seconds is None else f"{seconds:g} s"
