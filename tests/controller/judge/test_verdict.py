"""Verdicts on hand-written runs: times, limits, and whose fault it was."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.judge.case import InjectedFault, Kind
from controller.judge.histories import AlarmPoint, Histories, PlanRun, StateChange
from controller.judge.verdict import Verdict, judge
from controller.record.audit_lines import AuditWrite
from tests.controller.judge.handmade import SITE, at, calm, changed, cut_off, fault


def verdict(histories: Histories, injected: InjectedFault) -> Verdict:
    judgement = judge(histories, SITE, [injected], at(20))
    assert judgement.before_faults == ()
    return judgement.verdicts[0]


def test_a_lost_link_is_detected_made_safe_and_recovered() -> None:
    seen = verdict(cut_off(5, 9), fault(Kind.LINK, 4.5, 9, "a"))
    assert (seen.detected_s, seen.safe_s, seen.recovered_s) == (15.0, 60.0, 60.0)
    assert seen.broken == ()
    assert seen.late == ()
    assert seen.passed


@pytest.mark.parametrize(
    ("begins", "ends", "late"),
    [
        (4.4, 9.0, "detected after 18 s, allowed 15 s"),
        (5.0, 8.8, "recovered after 66 s, allowed 60 s"),
    ],
)
def test_a_limit_that_is_not_kept_is_named(begins: float, ends: float, late: str) -> None:
    seen = verdict(cut_off(5, 9), fault(Kind.LINK, begins, ends, "a"))
    assert seen.late == (late,)
    assert not seen.passed


def test_meaningless_data_disturb_their_device_alone() -> None:
    shared = replace(SITE, links={**SITE.links, "a": frozenset("ab")})
    seen = {
        kind: judge(cut_off(5, 9), shared, [fault(kind, 4.5, 9, "a")], at(20)).verdicts[0]
        for kind in (Kind.DATA, Kind.LINK)
    }
    assert all(verdict.passed and verdict.safe_s == 60.0 for verdict in seen.values())
    late = verdict(cut_off(5, 9), fault(Kind.DATA, 4.4, 9, "a")).late
    assert late == ("detected after 18 s, allowed 15 s",)


def test_a_stale_device_may_need_longer_to_be_noticed() -> None:
    assert verdict(cut_off(5, 9), fault(Kind.STALE, 3.6, 9, "a")).passed
    assert not verdict(cut_off(5, 9), fault(Kind.STALE, 3.4, 9, "a")).passed


def test_what_nobody_noticed_fails_unless_it_may_pass_unnoticed() -> None:
    slow = fault(Kind.LINK, 5, 9, "a")
    assert verdict(calm(), slow).late == ("detected after none in the run, allowed 15 s",)
    assert verdict(calm(), replace(slow, noticeable=False)).passed


def test_a_device_that_says_when_it_was_safe_is_believed_over_its_lease() -> None:
    states = (StateChange(at(6.25), "a", "safe"), StateChange(at(9), "a", "remote"))
    assert verdict(replace(cut_off(5, 9), states=states), fault(Kind.LINK, 5, 9, "a")).safe_s == 37.5


def test_a_device_that_is_not_safe_in_time_fails() -> None:
    states = (StateChange(at(8.5), "a", "safe"),)
    seen = verdict(replace(cut_off(5, 9), states=states), fault(Kind.LINK, 5, 9, "a"))
    assert seen.late == ("a safe after 105 s, allowed 90 s",)
    assert {broken.invariant for broken in seen.broken} == {4}


def test_a_run_that_ends_before_the_device_is_back_is_not_passed() -> None:
    assert verdict(cut_off(5, 19), fault(Kind.LINK, 5, 18.5, "a")).late == (
        "recovered after none in the run, allowed 60 s",
    )
    assert verdict(cut_off(5, 20), fault(Kind.LINK, 5, 30, "a")).late == ()


def test_a_death_takes_every_device_to_safety_unless_the_controller_is_back() -> None:
    long, short = calm(dead=range(5, 10)), calm(dead=range(5, 6))
    seen = verdict(long, fault(Kind.DEATH, 4.5, 9.5))
    assert (seen.safe_s, seen.recovered_s, seen.points_lost) == (60.0, 75.0, 0)
    assert seen.late == ("recovered after 75 s, allowed 60 s",)
    seen = verdict(short, fault(Kind.DEATH, 4.5, 5.5))
    assert (seen.safe_s, seen.recovered_s, seen.passed) == (None, 15.0, True)


def test_a_controller_that_never_comes_back_fails() -> None:
    run = calm(dead=range(5, 21))
    gone = {
        name: tuple(record for record in getattr(run, name) if record.time < at(5))
        for name in ("frames", "audit", "devices", "nodes", "service", "decisions")
    }
    seen = verdict(replace(run, **gone), fault(Kind.DEATH, 4.5, 5.5))
    assert seen.late == ("recovered after none in the run, allowed 60 s",)
    assert seen.safe_s == 60.0


def test_a_controller_that_falls_silent_by_itself_fails() -> None:
    assert 13 in {broken.invariant for broken in verdict(calm(12), fault(Kind.OTHER, 3, 4)).broken}


def test_who_has_yielded_to_another_writer_need_not_recover() -> None:
    run = calm(12)
    foreign = fault(Kind.WRITER, 11.5, 14, "a")
    assert judge(run, SITE, [foreign], at(20)).verdicts[0].late == ()
    kept = calm()
    silent = replace(kept, audit=tuple(r for r in kept.audit if getattr(r, "device", "") != "a" or r.time < at(14)))
    assert judge(silent, SITE, [foreign], at(20)).verdicts[0].late == ("recovered after none in the run, allowed 60 s",)


def test_the_guardian_is_a_sign_of_a_death() -> None:
    write = AuditWrite(1, at(6.5), "a", None, None, "guardian", "", "attempted")
    both = (write, replace(write, outcome="rejected"))
    seen = verdict(replace(calm(dead=range(5, 10)), guardian=both), fault(Kind.DEATH, 4.5, 9.5))
    assert seen.detected_s == 60.0


def test_lost_points_count_against_the_fault_and_are_excused_only_by_a_full_disk() -> None:
    run = calm()
    lost = replace(run, stored_prosumers=run.stored_prosumers - {(at(6), "A")})
    counted = replace(lost, service=changed(lost.service, lambda p: p.time > at(6), dropped=1.0))
    other = verdict(counted, fault(Kind.OTHER, 5, 7))
    assert (other.points_lost, other.broken, other.passed) == (1, (), False)
    assert verdict(counted, fault(Kind.DISK, 5, 7)).passed
    assert not verdict(lost, fault(Kind.DISK, 5, 7)).passed


def test_a_breach_belongs_to_the_last_fault_that_began_before_it() -> None:
    run = calm()
    broken = replace(run, service=changed(run.service, lambda p: p.time in (at(3), at(12)), mode="monitor"))
    faults = [fault(Kind.OTHER, 10, 11), fault(Kind.OTHER, 5, 6), fault(Kind.OTHER, 15, 16)]
    judgement = judge(broken, SITE, faults, at(20))
    assert [len(verdict.broken) for verdict in judgement.verdicts] == [0, 1, 0]
    assert [broken.time for broken in judgement.before_faults] == [at(3)]
    assert not judgement.passed


def test_alarms_and_refused_plans_are_signs() -> None:
    before = AlarmPoint(at(4), "b voltage", standing=True, text="")
    new = AlarmPoint(at(6), "a link", standing=True, text="")
    run = replace(calm(), alarms=(before, replace(before, time=at(5)), new))
    assert verdict(run, fault(Kind.OTHER, 5, 7)).detected_s == 30.0
    assert verdict(run, fault(Kind.OTHER, 5, 7, "b")).detected_s is None
    refused = PlanRun(at(6), "failed", None, None, adopted=False)
    run = replace(calm(), plans=(*calm().plans, refused), stored_plans=frozenset({at(0), at(6)}))
    assert verdict(run, fault(Kind.PLANNER, 5, 7)).detected_s == 30.0


def test_the_end_of_a_run_needs_no_recovery() -> None:
    seen = verdict(calm(), fault(Kind.STOP, 19.9, 20.0))
    assert seen.recovered_s is None
    assert seen.late == ()


def test_a_meter_recovers_when_it_reads_well() -> None:
    run = calm()
    devices = changed(run.devices, lambda p: p.device == "m" and at(5) <= p.time < at(7), quality="invalid", age_s=40.0)
    nodes = changed(run.nodes, lambda p: at(5) <= p.time < at(7), v_pu=None)
    seen = verdict(replace(run, devices=devices, nodes=nodes), fault(Kind.LINK, 5, 6.5, "m"))
    assert (seen.detected_s, seen.safe_s, seen.recovered_s, seen.passed) == (0.0, None, 15.0, True)
    assert seen.injected_at == at(5) + timedelta(0)
