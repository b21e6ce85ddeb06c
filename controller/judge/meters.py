"""Invariant of meters: who lies is named, nobody else is, and what a named one says is not recorded as measured."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from controller.judge.case import BrokenInvariant, Case, Kind
from realtime.meter_doubt import MeterDoubtKind

DOUBTS = frozenset(MeterDoubtKind)
HEALED_S = 1800.0
"""Time after a fault in which a doubt may last, or be brought about by what was seen during the fault."""
MAY_BE_NAMED = (Kind.VOLTAGE, Kind.DATA, Kind.STALE, Kind.DEVICE)


def lying_meters_named(case: Case) -> Iterator[BrokenInvariant]:
    """20: a voltage that lies is named as a doubt on its device, in time; no other device is; and it counts nowhere."""
    named = _named(case)
    for fault in (fault for fault in case.faults if fault.kind is Kind.VOLTAGE and fault.named_within_s is not None):
        latest = fault.begins + timedelta(seconds=fault.named_within_s or 0.0)
        for device in sorted(case.disturbed(fault)):
            if fault.ends >= latest and not any(d == device and fault.begins <= at <= latest for at, d in named):
                what = f"lies, and is not named within {fault.named_within_s:g} s"
                yield BrokenInvariant(20, latest, device, what)
    for at, device in named:
        if not case.during(at, *MAY_BE_NAMED, device=device, after_s=HEALED_S):
            yield BrokenInvariant(20, at, device, "honest, and doubted")
    doubted = frozenset(named)
    for node in case.histories.nodes:
        meter = case.site.meters.get(node.node)
        if node.v_pu is not None and meter is not None and (node.time, meter) in doubted:
            yield BrokenInvariant(20, node.time, meter, f"doubted, and {node.v_pu} p.u. count as measured")


def _named(case: Case) -> list[tuple[datetime, str]]:
    """Times and devices of all alarms that doubt a voltage."""
    alarms = ((alarm.time, *alarm.alarm.partition(" ")) for alarm in case.histories.alarms if alarm.standing)
    return [(at, device) for at, device, _, kind in alarms if kind in DOUBTS]
