"""The invariant of the supply voltage, from the voltages that were measured."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain, pairwise

from controller.judge.case import BrokenInvariant, Case, Kind
from controller.process.modes import Mode

CYCLES = 2
"""Cycles within which voltages must be back."""
TOLERANCE_PU = 0.002
"""What the supply itself moves within a cycle, and noise."""


def voltages_corrected(case: Case) -> Iterator[BrokenInvariant]:
    """23: two cycles after a step of the supply, and after its end, all voltages are within their limits again.

    The first cycle after the step is the first one that can see it; so times within two periods are not judged.
    """
    active = {point.time for point in case.histories.service if point.mode == Mode.ACTIVE}
    for since, until in _spans(case):
        begin = since + timedelta(seconds=CYCLES * case.site.cycle_s)
        for point in case.histories.nodes:
            beyond_pu = case.site.band.beyond_pu(point.node, point.v_pu)
            if begin < point.time < until and point.time in active and beyond_pu > TOLERANCE_PU:
                what = f"{point.node} at {point.v_pu:.4f} p.u., {beyond_pu:.4f} beyond its limit"
                yield BrokenInvariant(23, point.time, None, what)


def _spans(case: Case) -> Iterator[tuple[datetime, datetime]]:
    """Times between two changes of the supply: from each begin and each end to what follows."""
    changes = sorted(chain.from_iterable((f.begins, f.ends) for f in case.faults if f.kind is Kind.SUPPLY))
    return pairwise([*changes, case.end])
