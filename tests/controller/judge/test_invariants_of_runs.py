"""Every invariant is broken once, by one change to a run in which all hold; nothing else may be reported."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from math import ceil, nan
from typing import Any

import pytest

from controller.judge.case import Case, CaseConfig, Kind
from controller.judge.histories import AlarmPoint, Histories, ReceivedFrame, StateChange, Trail
from controller.judge.invariants import violations
from controller.record.audit_lines import AuditNote, AuditWrite
from core.epochs import LAST
from core.load import load_config
from tests.controller.judge.handmade import SITE, START, WANTED_KVA, at, calm, changed, fault, numbers
from tests.support.paths import CONFIG

RUN = calm()
"""Twenty cycles; the safe state is left in the third."""


def with_frame(k: int, **values: Any) -> Histories:
    return replace(RUN, frames=changed(RUN.frames, lambda f: (f.time, f.device) == (at(k), "a"), **values))


def with_decision(k: int, run: Histories = RUN, **values: Any) -> Histories:
    return replace(run, decisions=changed(run.decisions, lambda d: (d.time, d.prosumer) == (at(k), "A"), **values))


def with_device(k: int, device: str = "a", **values: Any) -> Histories:
    return replace(RUN, devices=changed(RUN.devices, lambda p: (p.time, p.device) == (at(k), device), **values))


def with_write(k: int, outcome: str, run: Histories = RUN, **values: Any) -> Histories:
    def which(record: object) -> bool:
        return isinstance(record, AuditWrite) and (record.time, record.device, record.outcome) == (at(k), "a", outcome)

    return replace(run, audit=changed(run.audit, which, **values))


def without_audit(which: Callable[[Any], bool]) -> Histories:
    return replace(RUN, audit=tuple(record for record in RUN.audit if not which(record)))


def late(run: Histories, k: int, seconds: float) -> Histories:
    """Frames of one device come late."""
    moved = changed(run.frames, lambda f: (f.time, f.device) == (at(k), "a"), time=at(k) + timedelta(seconds=seconds))
    return replace(run, frames=tuple(sorted(moved, key=lambda f: f.time)))


def without_cycles(*cycles: int) -> Histories:
    """As if the controller had slept; its numbers go on without a gap."""
    gone = {at(k) for k in cycles}
    kept = {
        name: tuple(record for record in getattr(RUN, name) if record.time not in gone)
        for name in ("frames", "audit", "devices", "nodes", "service", "decisions")
    }
    order = {seq: k for k, seq in enumerate(dict.fromkeys(record.seq for record in kept["audit"]), 1)}
    return replace(RUN, **{**kept, "audit": tuple(replace(r, seq=order[r.seq]) for r in kept["audit"])})


def insisting(run: Histories, k: int) -> Histories:
    """From a cycle on nothing is verified, but the device takes it all."""
    return replace(
        run,
        audit=changed(
            run.audit,
            lambda r: isinstance(r, AuditWrite) and r.outcome == "verified" and r.time >= at(k) and r.device == "a",
            outcome="unknown",
        ),
        alarms=tuple(AlarmPoint(at(m), "a write", True, "unknown") for m in range(k, 20)),
    )


def foreign(epoch: int) -> Histories:
    frame = replace(RUN.frames[10], epoch=epoch, s_kva=3 + 0j)
    return replace(RUN, frames=tuple(sorted((*RUN.frames, frame), key=lambda f: f.time)))


def released_by_the_guardian(k: float, refusal: str | None) -> Histories:
    """In mid-run; the device that refuses it goes on."""
    attempt = AuditWrite(1, at(k), "a", None, None, "guardian", "", "attempted")
    frame = ReceivedFrame(at(k), "a", 0j, 0.0, 2, enable=False, refusal=refusal, violations=())
    outcome = "verified" if refusal is None else "rejected"
    frames = tuple(sorted((*RUN.frames, frame), key=lambda f: f.time))
    return replace(RUN, frames=frames, guardian=(attempt, replace(attempt, outcome=outcome)))


def rejected(alarm_after: float | None) -> Histories:
    """One write, and perhaps its alarm so many cycles later."""

    def which(record: object) -> bool:
        return isinstance(record, AuditWrite) and (record.time, record.device, record.outcome) == (
            at(5),
            "a",
            "verified",
        )

    run = replace(RUN, audit=changed(RUN.audit, which, outcome="rejected"))
    alarms = () if alarm_after is None else (AlarmPoint(at(5 + alarm_after), "a write", True, "rejected"),)
    return replace(run, alarms=alarms)


def released_every_cycle(since: float, until: float) -> Trail:
    """A second service, ACTIVE for some time, whose setpoints are undone before they are read back."""
    wrote = AuditWrite(1, START, "a", 1.0, -0.5, "use intraday", "", "attempted")
    cycles = range(ceil(since), ceil(until))
    writes = [replace(wrote, seq=k, time=at(k), outcome=end) for k in cycles for end in ("attempted", "rejected")]
    begins, ends = (
        AuditNote(0, at(k), "mode", text) for k, text in ((since, "monitor → active"), (until, "active → off"))
    )
    return (begins, *writes, ends)


BREACHES: Mapping[str, tuple[set[int], Histories]] = {
    "not finite": ({1, 6, 7}, with_frame(5, s_kva=complex(nan, 0), refusal="not finite", violations=("finite",))),
    "beyond the circle": ({1}, with_frame(5, violations=("circle",))),
    "beyond the rating": ({1, 6, 7}, with_frame(5, s_kva=15.1 + 0j)),
    "too fast": ({2}, with_frame(5, violations=("ramp",))),
    "used though too old": ({3}, with_device(5, age_s=12.5)),
    "used though never read": ({3}, with_device(5, age_s=None)),
    "held though too old": ({3}, with_device(5, age_s=46.0)),
    "zero for unknown": ({3}, with_decision(5, with_device(5, age_s=31.0), rung="hold", p_measured_kw=0.0)),
    "zero volts for unknown": ({3}, with_device(5, "m", age_s=30.0)),
    "no lease": ({4}, with_frame(5, lease_s=0.0)),
    "long lease": ({4}, with_frame(5, lease_s=90.0)),
    "goes on unread": ({4}, insisting(RUN, 6)),
    "two writers": ({5, 6}, foreign(0)),
    "frame without a record": ({6}, foreign(1)),
    "record after the frame": ({6, 7, 13}, late(RUN, 5, -10.0)),
    "attempt without an outcome": ({6}, without_audit(lambda r: r in RUN.audit[10:20] and r.outcome == "verified")),
    "lost line": ({6}, without_audit(lambda r: r.seq == 20)),
    "altered trail": ({19}, replace(RUN, trail_faults=("audit.jsonl: line 3 was changed",))),
    "number used twice": ({6}, replace(RUN, audit=(*RUN.audit, replace(RUN.audit[0], event="x", time=at(20))))),
    "outcome of nothing": ({6}, replace(RUN, audit=(*RUN.audit, replace(RUN.audit[-2], seq=99)))),
    "refused, called verified": ({7}, with_frame(5, refusal="ignored")),
    "part of it, called verified": ({7}, with_frame(3, s_kva=complex(1.0, 0.0))),
    "release ignored, called verified": ({7}, with_frame(20, refusal="ignored")),
    "charge above the band": ({8}, with_decision(5, soc=0.91)),
    "charge beyond the band at the lapse": ({8}, with_decision(5, soc=0.1001, battery_kw=1.0)),
    "unknown residual": ({9}, replace(RUN, plans=changed(RUN.plans, lambda _: True, gap_rel=None))),
    "absurd target": ({9}, with_decision(5, p_target_kw=nan)),
    "lost prosumer": ({11}, replace(RUN, stored_prosumers=RUN.stored_prosumers - {(at(5), "A")})),
    "lost device": ({11}, replace(RUN, devices=tuple(p for p in RUN.devices if (p.time, p.device) != (at(5), "m")))),
    "lost service": ({11}, replace(RUN, service=tuple(p for p in RUN.service if p.time != at(5)))),
    "lost plan": ({11}, replace(RUN, stored_plans=frozenset())),
    "no cycle": ({13}, without_cycles(7)),
    "slow cycle": ({13}, replace(RUN, service=changed(RUN.service, lambda p: p.time == at(5), cycle_ms=20_500.0))),
    "slow device": ({13}, with_device(5, latency_ms=1_100.0)),
    "late frame": ({6, 7, 13}, late(RUN, 5, 1.5)),
    "left with a stale reading": ({14}, with_device(1, quality="stale")),
    "left without a plan": ({14}, with_decision(2, p_target_kw=None)),
    "left too early": ({14}, with_decision(1, rung="use")),
    "mode not on record": ({15}, replace(RUN, service=changed(RUN.service, lambda p: p.time == at(5), mode="monitor"))),
    "release refused": ({17}, released_by_the_guardian(5.5, "older epoch")),
    "rejected without an alarm": ({17}, rejected(None)),
    "rejected, the alarm too late": ({17}, rejected(2.5)),
    "two services": ({21}, replace(RUN, twin=RUN.audit)),
    "two services, one always released": ({21}, replace(RUN, twin=released_every_cycle(4, 8))),
    "two services, one trail unfinished": ({21}, replace(RUN, twin=released_every_cycle(4, 9)[:-1])),
    "writes in MONITOR": (
        {15, 16},  # what is not on record was not commanded either
        replace(
            RUN,
            service=changed(RUN.service, lambda p: p.time >= at(5), mode="monitor"),
            audit=(*RUN.audit, AuditNote(RUN.audit[-1].seq + 1, at(5), "mode", "active → monitor")),
        ),
    ),
}  # fmt: skip


def test_a_calm_run_breaks_nothing() -> None:
    assert numbers(RUN) == set()


@pytest.mark.parametrize("alarm_after", [0, 1, 2])
def test_a_rejected_write_with_its_alarm_breaks_nothing(alarm_after: int) -> None:
    assert numbers(rejected(alarm_after)) == set()


def test_a_release_that_is_obeyed_breaks_nothing() -> None:
    assert numbers(released_by_the_guardian(5.5, None)) == set()


def test_a_second_service_that_gives_way_within_a_minute_breaks_nothing() -> None:
    assert numbers(replace(RUN, twin=released_every_cycle(4.5, 7.5))) == set(), "a minute, and the cycle that yields"
    assert numbers(replace(RUN, twin=released_every_cycle(4.5, 7.6))) == {21}


def test_after_the_last_epoch_comes_the_first() -> None:
    def numbered(*epochs: int) -> Histories:
        return replace(RUN, frames=tuple(replace(f, epoch=epochs[f.time >= at(8)]) for f in RUN.frames))

    assert numbers(numbered(LAST, 1)) == set()
    again = numbered(1, LAST)
    first = changed(again.frames, lambda f: f.time >= at(12), epoch=1)
    assert numbers(numbered(1, 2)) == set()
    assert numbers(replace(again, frames=first)) == set(), "a ring: 1 follows the last one"
    back = changed(numbered(1, 2).frames, lambda f: f.time == at(12), epoch=1)
    assert numbers(replace(RUN, frames=back)) == {5}


@pytest.mark.parametrize("breach", BREACHES)
def test_each_breach_is_reported_as_what_it_is(breach: str) -> None:
    expected, histories = BREACHES[breach]
    assert numbers(histories) == expected


@pytest.mark.parametrize("dead", [range(5, 6), range(5, 10)], ids=["shorter than a lease", "longer"])
def test_a_death_with_its_restart_breaks_nothing(dead: range) -> None:
    run = calm(dead=dead)
    assert numbers(run, fault(Kind.DEATH, dead.start - 0.5, dead.stop - 0.5)) == set()
    assert 13 in numbers(run)


def stepped(*v_pu: float) -> set[int]:
    """Broken in a run whose supply steps after cycle 4 and returns after cycle 12; ``v_pu`` are from cycle 5 on."""
    measured = {at(5 + k): v for k, v in enumerate(v_pu)}
    nodes = tuple(replace(point, v_pu=measured.get(point.time, 1.0)) for point in RUN.nodes)
    return numbers(replace(RUN, nodes=nodes), fault(Kind.SUPPLY, 4.1, 12.1))


def test_two_cycles_after_a_step_of_the_supply_voltages_are_back_and_stay() -> None:
    up, down = 1.08, 0.92
    assert stepped(up, up) == set(), "the first cycle sees it, the second sees what the first has done"
    assert stepped(up, up, 1.0519) == set(), "the supply itself moves a little"
    assert stepped(up, up, 1.053) == {23}
    assert stepped(down, down, 0.947) == {23}
    assert stepped(up, up, 1.0, 1.0, up) == {23}
    assert stepped(*[1.0] * 8, down, down) == set(), "nor is its return seen before"
    assert stepped(*[1.0] * 8, down, down, down) == {23}


def test_only_an_active_service_must_correct_a_step_and_never_at_the_slack() -> None:
    outside = replace(RUN, nodes=changed(RUN.nodes, lambda _: True, v_pu=1.08))
    step = fault(Kind.SUPPLY, 4.1, 12.1)
    assert numbers(outside, step) == {23}
    assert numbers(outside) == set(), "without a step of the supply it may be that nobody can"
    assert numbers(replace(outside, nodes=changed(outside.nodes, lambda _: True, node="slack")), step) == set()
    monitoring = replace(outside, service=changed(outside.service, lambda _: True, mode="monitor"))
    assert 23 not in numbers(monitoring, step)


def test_a_restart_must_not_jump() -> None:
    run = calm(dead=range(5, 6))
    for jump_kva in (WANTED_KVA + 0.5, WANTED_KVA - 20):
        frames = changed(run.frames, lambda f: f.time >= at(6), s_kva=jump_kva)
        audit = changed(
            run.audit,
            lambda r: isinstance(r, AuditWrite) and r.time >= at(6) and r.p_kw is not None,
            p_kw=jump_kva.real,
        )
        assert 10 in numbers(replace(run, frames=frames, audit=audit), fault(Kind.DEATH, 4.5, 5.5))


def released_at(k: float, first_kva: complex, epoch: int = 2) -> Histories:
    """A death in cycle 5, the guardian's release, and a successor that begins in cycle 10."""
    run, devices = calm(dead=range(5, 10)), ("a", "b")
    release = [AuditWrite(n, at(k), name, None, None, "guardian", "", "attempted") for n, name in enumerate(devices, 1)]
    told = [ReceivedFrame(at(k), name, 0j, 0.0, epoch, enable=False, refusal=None, violations=()) for name in devices]
    frames = [replace(f, epoch=3) if f.time >= at(10) else f for f in run.frames]
    frames = [replace(f, s_kva=first_kva) if f.time == at(10) else f for f in frames]
    audit = changed(run.audit, lambda r: isinstance(r, AuditWrite) and r.time == at(10), p_kw=first_kva.real)
    return replace(
        run,
        frames=tuple(sorted((*frames, *told), key=lambda f: f.time)),
        audit=audit,
        guardian=tuple(line for one in release for line in (one, replace(one, outcome="verified"))),
    )


@pytest.mark.parametrize(("first_kva", "expected"), [(0j, set()), (0.7 + 0j, set()), (-0.7 + 0j, set()), (0.9, {10})])
def test_a_restart_after_a_release_moves_by_the_ramp_since_then(first_kva: complex, expected: set[int]) -> None:
    death = fault(Kind.DEATH, 4.5, 9.5)
    assert numbers(released_at(9.9, complex(first_kva)), death) == expected
    assert numbers(released_at(9.9, complex(first_kva), epoch=3), death) == expected, "the guardian's number again"
    stranger = replace(released_at(9.9, complex(first_kva)).frames[-1], time=at(9.95), epoch=2, s_kva=0j, enable=True)
    run = released_at(9.9, complex(first_kva))
    taken = replace(run, frames=tuple(sorted((*run.frames, stranger), key=lambda f: f.time)))
    assert (10 in numbers(taken, death, fault(Kind.WRITER, 9.9, 10))) is (first_kva != 0)


def test_a_restart_goes_on_with_a_plan_that_was_there() -> None:
    run = calm(dead=range(5, 6))
    audit = changed(run.audit, lambda r: isinstance(r, AuditWrite) and r.time == at(6), plan_id="day-ahead 2018-06-21")
    assert numbers(replace(run, audit=audit), fault(Kind.DEATH, 4.5, 5.5)) == {10}


def test_a_restart_without_its_journal_may_have_made_a_plan_since() -> None:
    run = calm(dead=range(5, 6))
    death = replace(fault(Kind.DEATH, 4.5, 5.5), loses_journal=True)
    for made, expected in ((at(5), set()), (at(4), {10}), (at(7), {10})):
        plan_id = f"day-ahead {made.isoformat(timespec='seconds')}"
        audit = changed(run.audit, lambda r: isinstance(r, AuditWrite) and r.time == at(6), plan_id=plan_id)
        assert numbers(replace(run, audit=audit), death) == expected


def test_a_device_that_keeps_its_setpoint_after_a_death_is_found_by_its_own_account() -> None:
    run = calm(dead=range(5, 10))
    death = fault(Kind.DEATH, 4.5, 9.5)
    safe = [StateChange(at(4) + timedelta(seconds=75), device, "safe") for device in ("a", "b")]
    assert numbers(replace(run, states=(*safe, StateChange(at(10), "a", "remote"))), death) == set()
    assert 4 in numbers(replace(run, states=(safe[1],)), death)
    assert numbers(replace(run, states=tuple(replace(s, time=at(7.5)) for s in safe)), death) == {4}


def test_a_full_disk_keeps_nobody_from_leaving_active() -> None:
    run = replace(RUN, service=changed(RUN.service, lambda p: p.time == at(5), mode="monitor"))
    assert numbers(run, fault(Kind.DISK, 4, 6)) == set()
    assert numbers(run, fault(Kind.OTHER, 4, 6)) == {15}


def test_points_that_were_counted_as_dropped_break_nothing() -> None:
    lost = replace(RUN, stored_prosumers=RUN.stored_prosumers - {(at(5), "A"), (at(5), "B")})
    counted = replace(lost, service=changed(lost.service, lambda p: p.time > at(5), dropped=2.0))
    assert numbers(lost) == {11}
    assert numbers(counted) == set()


def test_frames_of_a_foreign_writer_are_not_ours_to_audit() -> None:
    stranger = fault(Kind.WRITER, 4, 6, "a")
    assert numbers(foreign(1), stranger) == set()
    assert numbers(foreign(0), stranger) == {5}


def test_a_fault_of_one_device_excuses_no_other() -> None:
    for device, expected in (("a", set()), ("b", {13})):
        assert numbers(with_device(5, latency_ms=1_100.0), fault(Kind.LINK, 4, 6, device)) == expected


def test_devices_behind_one_address_share_the_fate_of_their_link() -> None:
    slow, link = with_device(5, latency_ms=1_100.0), fault(Kind.LINK, 4, 6, "b")
    shared = replace(SITE, links={**SITE.links, "b": frozenset("ab")})
    assert {b.invariant for b in violations(Case.of(slow, SITE, [link], at(20)))} == {13}
    assert violations(Case.of(slow, shared, [link], at(20))) == ()
    assert violations(Case.of(slow, shared, [replace(link, kind=Kind.DEVICE)], at(20))) != ()


def test_the_links_of_a_configuration_are_its_addresses() -> None:
    links = CaseConfig.of(load_config(CONFIG)).links
    assert links["n3_converter"] == {"n3_converter", "n4_converter"}
    assert links["n5_converter"] == {"n5_converter"}
    assert links["n7_converter"] == {"n7_converter", "n9_converter"}
    assert len(links["n1_meter"]) == 9


def test_a_change_of_mode_may_be_of_the_same_instant_as_a_cycle() -> None:
    note = AuditNote(RUN.audit[-1].seq + 1, at(12), "mode", "active → monitor")
    after = changed(RUN.service, lambda p: p.time > at(12), mode="monitor")
    run = replace(RUN, service=after, audit=(*RUN.audit, note))
    writes = {b.time for b in violations(Case.of(run, SITE, [], at(20))) if "setpoint" in b.what}
    assert writes == {at(k) for k in range(13, 20)}


@pytest.mark.parametrize("shift_s", [3600.0, -3600.0])
def test_a_wall_clock_that_jumps_is_seen_through_and_excuses_nothing(shift_s: float) -> None:
    def jumped(run: Histories) -> Histories:
        names = ("audit", "devices", "nodes", "service", "decisions")
        shift = timedelta(seconds=shift_s)

        def spoilt(record: Any) -> Any:
            return replace(record, time=record.time + shift) if at(5) <= record.time < at(9) else record

        stored = {(t + shift if at(5) <= t < at(9) else t, name) for t, name in run.stored_prosumers}
        spoilt_ones = {name: tuple(map(spoilt, getattr(run, name))) for name in names}
        return replace(run, stored_prosumers=frozenset(stored), **spoilt_ones)

    jump = fault(Kind.CLOCK, 5, 9, shift_s=shift_s)
    assert numbers(jumped(RUN), jump) == set()
    assert numbers(jumped(without_cycles(7)), jump) == {12}


def test_active_needs_a_command_or_a_restart() -> None:
    def toggled(*notes: tuple[str, str]) -> Histories:
        run = calm(dead=range(5, 10))
        first, *rest = run.audit
        added = [AuditNote(k, at(9.9), event, detail) for k, (event, detail) in enumerate(notes, 2)]
        moved = [replace(record, seq=record.seq + len(notes)) for record in rest]
        before = [record for record in moved if record.time < at(9)]
        return replace(run, audit=(first, *before, *added, *moved[len(before) :]))

    stopped = fault(Kind.STOP, 4.5, 9.5)
    numbered = toggled(("mode", "active → monitor"), ("command", "mode active, by token operator"))
    assert 15 not in numbers(numbered, stopped)
    assert 15 in numbers(toggled(("mode", "active → monitor")), stopped)
    confirmed = ("api", "POST /api/v1/mode by operator: 200 active")
    assert 15 not in numbers(toggled(("mode", "active → monitor"), confirmed), stopped)
    assert 15 in numbers(toggled(("mode", "active → monitor"), ("api", confirmed[1].replace("200", "409"))), stopped)


def test_the_first_cycle_is_where_it_says() -> None:
    assert RUN.frames[0].time == START
