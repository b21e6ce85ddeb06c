"""What a span of a service should show, and what it did."""

from collections import Counter
from collections.abc import Iterator

from controller.record.audit_lines import ATTEMPTED
from controller.report.loop.checks import Check, charge_check, mpc_checks, other_checks, voltage_checks
from controller.report.primitives.amounts import number, percent
from controller.report.service.record import ServiceRecord
from core.devices import Outcome

VERIFIED = 0.99
"""Required share of setpoints that were read back."""
WELL = (ATTEMPTED, Outcome.VERIFIED)


def service_checks(record: ServiceRecord) -> tuple[Check, ...]:
    """All checks of a span, safety first."""
    mpc = mpc_checks(record.summary)
    return (*_safety(record), *voltage_checks(record.summary), *other_checks(record), *mpc)


def _safety(record: ServiceRecord) -> Iterator[Check]:
    realtime = record.summary.realtime
    yield _written(record)
    yield charge_check(record.summary)
    yield Check("Cycles missed", f"{realtime.missed} of {realtime.cycles}", "none", realtime.missed == 0)
    silent_min = 60 * record.summary.silent_h
    yield Check("Time without any cycle", f"{number(silent_min, 1)} min", "none", silent_min == 0)


def _written(record: ServiceRecord) -> Check:
    """Every attempt of the audit trail was read back."""
    outcomes = Counter(write.outcome for write in record.writes)
    attempts, verified = outcomes[ATTEMPTED], outcomes[Outcome.VERIFIED]
    what, allowed = "Setpoints read back from the device", f"≥ {percent(VERIFIED)}"
    if not attempts:
        return Check(what, "nothing was written", allowed, None)
    others = ", ".join(f"{outcome} {count}" for outcome, count in outcomes.items() if outcome not in WELL)
    found = f"{percent(verified / attempts)} ({verified} of {attempts}{f'; {others}' if others else ''})"
    return Check(what, found, allowed, verified >= VERIFIED * attempts)
