"""Two converters of one prosumer: its row tells of both together, and each is judged by what it was written."""

from dataclasses import replace

from controller.judge.case import Case, CaseConfig, Kind
from controller.judge.histories import AlarmPoint, Histories, ProsumerCycle
from controller.judge.invariants import violations
from controller.record.audit_lines import AuditWrite
from realtime.fallback import Rung
from realtime.reasons import Reason
from tests.controller.judge.handmade import BATTERY, SITE, at, calm, changed, cut_off, fault

LIMITS = {name: replace(limits, prosumer="A", battery=BATTERY) for name, limits in SITE.converters.items()}
TOGETHER = CaseConfig(LIMITS, SITE.meters, SITE.links, SITE.cycle_s, SITE.poll_s, SITE.band)
LOST = fault(Kind.LINK, 8, 12, "a")
TAKEN = fault(Kind.DEVICE, 8, 12, "a")
ORDER = tuple(Rung)


def together(run: Histories) -> Histories:
    """The same with one row for both: the sum of their powers, the lowest rung, the reasons of both."""
    rows: dict[object, list[ProsumerCycle]] = {}
    for row in run.decisions:
        rows.setdefault(row.time, []).append(row)
    return replace(run, decisions=tuple(_sum(*pair) for pair in rows.values()))


def _sum(a: ProsumerCycle, b: ProsumerCycle) -> ProsumerCycle:
    known = [p for p in (a.p_measured_kw, b.p_measured_kw) if p is not None]
    return replace(
        a,
        p_target_kw=2 * (a.p_target_kw or 0.0),
        q_target_kvar=2 * (a.q_target_kvar or 0.0),
        p_measured_kw=sum(known) if len(known) == 2 else None,
        rung=max(a.rung, b.rung, key=ORDER.index),
        reasons=(*a.reasons, *b.reasons),
    )


def broken(run: Histories, *faults: object) -> set[tuple[int, str | None]]:
    case = Case.of(run, TOGETHER, faults, at(20))  # type: ignore[arg-type]
    return {(found.invariant, found.device) for found in violations(case)}


def panel(run: Histories) -> Histories:
    """Somebody has converter a for four cycles: it is not written, and comes back after three good readings."""
    gone = {at(k) for k in range(8, 12)}
    rows = changed(run.decisions, lambda d: d.prosumer == "A" and at(8) <= d.time < at(14), rung="safe", battery_kw=0.0)
    return replace(
        run,
        frames=tuple(f for f in run.frames if f.device != "a" or f.time not in gone),
        audit=tuple(r for r in run.audit if not isinstance(r, AuditWrite) or r.device != "a" or r.time not in gone),
        devices=changed(run.devices, lambda p: p.device == "a" and p.time in gone, state="local"),
        decisions=changed(rows, lambda d: d.prosumer == "A" and d.time in gone, reasons=(Reason.STOPPED,)),
    )


def renumbered(run: Histories) -> Histories:
    """Numbers of the audit trail without a gap, and writes of a as safe until it is back."""
    order = {seq: k for k, seq in enumerate(dict.fromkeys(record.seq for record in run.audit), 1)}
    kept = [replace(record, seq=order[record.seq]) for record in run.audit]
    safe = changed(
        kept,
        lambda r: isinstance(r, AuditWrite) and r.device == "a" and at(12) <= r.time < at(14),
        p_kw=0.0,
        q_kvar=0.0,
        reason="safe intraday",
    )
    frames = changed(run.frames, lambda f: f.device == "a" and at(12) <= f.time < at(14), s_kva=0j)
    return replace(run, audit=safe, frames=frames)


def test_a_run_in_which_all_is_well() -> None:
    assert broken(together(calm())) == set()


def test_one_that_is_lost_and_comes_back_is_all_right() -> None:
    run = together(cut_off(8, 12))
    assert min(ORDER.index(Rung(row.rung)) for row in run.decisions if at(9) < row.time < at(12)) == 2
    assert broken(run, LOST) == set()


def test_the_other_one_must_go_on() -> None:
    run = together(cut_off(8, 12))
    silent = replace(run, frames=tuple(f for f in run.frames if (f.time, f.device) != (at(10), "b")))
    assert (13, "b") in broken(silent, LOST)


def test_the_other_one_must_go_on_while_somebody_has_the_first() -> None:
    run = together(renumbered(panel(calm())))
    assert broken(run, TAKEN) == set()
    silent = replace(run, frames=tuple(f for f in run.frames if (f.time, f.device) != (at(10), "b")))
    assert (13, "b") in broken(silent, TAKEN), "the row says STOPPED, but not of this one"


def test_a_doubt_excuses_the_one_that_it_names() -> None:
    """Nobody is at the panel; without the alarm a device that is not written, and no fault touches, is a fault."""
    run = together(renumbered(panel(calm())))
    run = replace(run, devices=changed(run.devices, lambda p: p.state == "local", state=None))
    assert (13, "a") in broken(run)
    alarms = tuple(AlarmPoint(at(k), "a contradicted", True, "says 1 kW") for k in range(8, 12))
    assert (13, "a") not in broken(replace(run, alarms=alarms))


def test_the_rung_of_each_is_that_of_its_write() -> None:
    run = together(cut_off(8, 12))
    old = changed(run.devices, lambda p: (p.time, p.device) == (at(10), "b"), age_s=50.0)
    assert (3, "b") in broken(replace(run, devices=old), LOST), "b used data of 50 s, though the row says safe"
    lost = changed(run.devices, lambda p: (p.time, p.device) == (at(10), "a"), age_s=500.0)
    assert broken(replace(run, devices=lost), LOST) == set()


def test_the_safe_state_is_left_by_each_for_itself() -> None:
    run = together(cut_off(8, 12))
    bad = changed(run.devices, lambda p: (p.time, p.device) == (at(13), "a"), quality="invalid")
    assert (14, "a") in broken(replace(run, devices=bad), LOST)


def test_charge_and_targets_are_judged_of_both_together() -> None:
    run = together(calm())
    empty = replace(run, decisions=changed(run.decisions, lambda d: d.time == at(5), soc=0.05, battery_kw=0.0))
    assert broken(empty) == {(8, "a, b")}
    assert broken(empty, fault(Kind.DEVICE, 2, 4, "b")) == set(), "b has lied"
    within = replace(run, decisions=changed(run.decisions, lambda d: d.time == at(5), p_target_kw=29.0))
    beyond = replace(run, decisions=changed(run.decisions, lambda d: d.time == at(5), p_target_kw=31.0))
    assert (broken(within), broken(beyond)) == (set(), {(9, "a, b")})
