"""The checks that a closed-loop run should pass, and their results."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from controller.accounts.energy_balance import BALANCED
from controller.accounts.model_check import WARNING_PU
from controller.accounts.voltage_quality import OUTSIDE, OUTSIDE_10MIN, WORST_MEAN_PU, WORST_PU
from controller.report.loop.quantities import quantities
from controller.report.loop.record import LoopRecord, SampledRecord
from controller.report.loop.summary import LoopSummary, SampledSummary
from controller.report.primitives.amounts import NOT_MEASURED, magnitude, number, percent

CONVERGED = 0.99
"""Required share of converged MPC runs."""
JUDGED_CYCLES = 120
"""Of a shorter run no energy balance is judged: a single cycle booked differently would be the allowed share."""


@dataclass(frozen=True)
class Check:
    """One check; ``safety``: equipment is at stake, not only the quality of the supply. ``held`` None: not measured."""

    what: str
    found: str
    allowed: str
    held: bool | None
    safety: bool = False


def checks(record: LoopRecord) -> tuple[Check, ...]:
    """All checks, safety first; those of the MPC only for a coordinated run."""
    summary = record.summary
    mpc = mpc_checks(summary) if summary.coordinated else ()
    return (
        *_safety(summary),
        *voltage_checks(summary),
        *other_checks(record),
        *_balances(summary),
        *_model(summary),
        *mpc,
    )


def _safety(summary: LoopSummary) -> Iterator[Check]:
    referee, realtime = summary.referee, summary.realtime
    broken = ", ".join(f"{rule} {count}" for rule, count in referee.rules.items())
    found = f"{referee.violations} of {referee.frames} frames" + (f" ({broken})" if broken else "")
    kept = referee.violations == 0 if referee.frames else None
    yield Check("Setpoints that break a rule of the referee", found, "none", kept, safety=True)
    yield charge_check(summary)
    yield Check("Cycles missed", f"{realtime.missed} of {realtime.cycles}", "none", realtime.missed == 0, safety=True)
    unsafe = [name for name, verified in summary.safe.items() if not verified]
    found = f"all but {', '.join(unsafe)}" if unsafe else "all"
    yield Check("Converters in their safe state at the end", found, "all", not unsafe, safety=True)


def charge_check(summary: SampledSummary) -> Check:
    """All states of charge stayed in their bands."""
    left = {name: band.outside for name, band in summary.soc.items() if band.outside}
    found = ", ".join(f"{name} in {count} samples" for name, count in left.items()) or "none"
    return Check("State of charge outside its band", found, "none", not left, safety=True)


def voltage_checks(summary: SampledSummary) -> Iterator[Check]:
    """Single samples and ten-minute means against the limits."""
    measured = summary.measured
    means, samples = measured.means_10min, measured.samples
    yield _share("10-min mean voltages outside the limits", measured.outside_10min, means, OUTSIDE_10MIN)
    yield _distance("Worst 10-min mean voltage beyond", measured.worst_mean_pu if means else None, WORST_MEAN_PU)
    check = _share("30 s samples of voltages outside the limits", measured.outside, samples, OUTSIDE)
    lacking = f"; {measured.unmeasured} {NOT_MEASURED}" if measured.unmeasured and samples else ""
    yield replace(check, found=check.found + lacking)
    yield _distance("Worst 30 s sample beyond", measured.worst_pu if samples else None, WORST_PU)


def other_checks(record: SampledRecord) -> Iterator[Check]:
    """Ten-minute means of power at the supply and of line currents."""
    for quantity in quantities(record):
        what = f"10-min means outside: {quantity.what}"
        yield _share(what, quantity.outside, len(quantity.means), OUTSIDE_10MIN)


def _model(summary: LoopSummary) -> Iterator[Check]:
    if (model := summary.model_check) is not None:
        found = f"{magnitude(model.worst_pu)} p.u. at {model.worst_node}, mean {magnitude(model.mean_pu)}"
        yield Check("Grid model off the meters, worst", found, f"≤ {WARNING_PU:g} p.u.", not model.doubtful)


def _balances(summary: LoopSummary) -> Iterator[Check]:
    errors = [abs(book.difference_rel) for book in summary.energy_books.values() if book.difference_rel is not None]
    if errors:
        what, worst = "Energy balance against the plant, worst", max(errors)
        judged = summary.realtime.cycles >= JUDGED_CYCLES
        found = percent(worst) if judged else f"{percent(worst)}, too few cycles to tell"
        yield Check(what, found, f"≤ {percent(BALANCED)}", worst <= BALANCED if judged else None)


def mpc_checks(summary: SampledSummary) -> Iterator[Check]:
    """Runs of the MPC, if there were any."""
    mpc = summary.mpc
    if mpc.max_ms is None:
        return
    share, budget_s, longest_s = mpc.converged / mpc.runs, mpc.budget_ms / 1e3, mpc.max_ms / 1e3
    found = f"{percent(share)} ({mpc.converged} of {mpc.runs})"
    yield Check("MPC runs converged", found, f"≥ {percent(CONVERGED)}", share >= CONVERGED)
    yield Check("Longest MPC run", f"{number(longest_s, 2)} s", f"≤ {budget_s:g} s", longest_s <= budget_s)


def _share(what: str, count: int, of: int, allowed: float) -> Check:
    if not of:
        return Check(what, NOT_MEASURED, f"≤ {percent(allowed)}", None)
    share = count / of
    return Check(what, f"{percent(share)} ({count} of {of})", f"≤ {percent(allowed)}", share <= allowed)


def _distance(what: str, found_pu: float | None, allowed_pu: float) -> Check:
    allowed = f"≤ {allowed_pu:g} p.u."
    if found_pu is None:
        return Check(what, NOT_MEASURED, allowed, None)
    return Check(what, f"{magnitude(found_pu)} p.u.", allowed, found_pu <= allowed_pu)
