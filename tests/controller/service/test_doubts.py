"""Converters that another writer commands, or whose meter contradicts them; overrides; the emergency stop."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.record.audit_lines import AuditWrite, read_audit
from controller.service.doubts import UNKNOWN_MAX, Doubts
from controller.service.overrides import check_override
from controller.service.watch import Image
from core.devices import ConverterStatus, OperatingState, Outcome, Quality, Setpoint, Snapshot
from core.errors import InputError
from drivers.fencing import Fence
from realtime.doubt import Doubt, DoubtKind
from realtime.override import Override
from sim_plant.converter import ControlState
from tests.support.service_bench import Bench, bench, midsummer, modbus_only, rungs, selfish_plans


async def settled(lab: Bench) -> None:
    for _ in range(3):
        cycle = await lab.cycle()
    assert rungs(cycle) == ["use"] * 3


def fences(epoch: int) -> dict[str, Fence]:
    return {name: Fence(epoch) for name in modbus_only().converters}


def state_of(lab: Bench, converter: str) -> ControlState:
    return lab.plant.laboratory.converters[converter].state.mode


async def test_a_setpoint_that_is_not_ours_is_claimed_back_and_the_converter_rejoins(tmp_path: Path) -> None:
    async with bench(tmp_path, midsummer(), selfish_plans()) as lab:
        await settled(lab)
        n4 = lab.plant.laboratory.converters["n4_converter"]
        held = {"p_setpoint_kw": 3.0, "q_setpoint_kvar": 0.0, "lease_s": 75.0, "writer_epoch": 1.0, "enable": 1.0}
        assert n4.write(held) is None
        cycle = await lab.cycle()
        assert {name: doubt.kind for name, doubt in cycle.doubts.items()} == {"n4_converter": DoubtKind.FOREIGN}
        assert cycle.doubts["n4_converter"].text.startswith("holds 3.000 kW, 0.000 kvar, sent ")
        assert rungs(cycle) == ["use", "safe", "use"]
        assert (cycle.outcomes["n4_converter"], state_of(lab, "n4_converter")) == (
            Outcome.VERIFIED,
            ControlState.SAFE,
        )
        assert [rungs(await lab.cycle())[1] for _ in range(5)] == ["safe"] * 2 + ["use"] * 3
        releases = [line for line in read_audit(lab.audit) if isinstance(line, AuditWrite) and line.p_kw is None]
        assert {line.reason.split(":")[0] for line in releases} == {"foreign"}


def test_a_write_of_which_nothing_was_heard_is_ours_if_it_is_executed_later() -> None:
    doubts, first, late = Doubts(modbus_only(), fences(1)), Setpoint(1.0, 0.0, 75.0), Setpoint(2.0, 0.5, 75.0)
    doubts.wrote({"n3_converter": first}, {"n3_converter": Outcome.VERIFIED}, 0.0)
    doubts.wrote({"n3_converter": late}, {"n3_converter": Outcome.UNKNOWN}, 0.0)
    assert not doubts.after(holding(first, 30.0))
    assert not doubts.after(holding(late, 60.0))
    assert set(doubts.after(holding(Setpoint(3.0, 0.0, 75.0), 90.0))) == {"n3_converter"}
    doubts.wrote({"n3_converter": first}, {"n3_converter": Outcome.VERIFIED}, 0.0)
    assert not doubts.after(holding(first, 140.0))
    assert set(doubts.after(holding(late, 170.0))) == {"n3_converter"}


def holding(setpoint: Setpoint, at_s: float) -> Image:
    status = ConverterStatus(OperatingState.REMOTE, 15.0, setpoint.p_kw, setpoint.q_kvar, 1)
    snapshot = Snapshot(datetime(2018, 6, 21, tzinfo=UTC), at_s, {}, {"n3_converter": status})
    return Image(snapshot, {}, {"n3_converter": Quality.GOOD}, {})


def test_what_was_answered_and_shows_only_later_is_ours() -> None:
    doubts, slow = Doubts(modbus_only(), fences(1)), Setpoint(1.0, 0.0, 75.0)
    doubts.wrote({}, {"n3_converter": Outcome.VERIFIED}, 0.0)
    doubts.wrote({"n3_converter": slow}, {"n3_converter": Outcome.REJECTED}, 0.0)
    assert not doubts.after(holding(slow, 30.0))


def test_in_our_name_only_what_we_have_sent_is_ours() -> None:
    doubts, unheard = Doubts(modbus_only(), fences(1)), Setpoint(1.0, 0.0, 75.0)
    doubts.wrote({"n3_converter": unheard}, {"n3_converter": Outcome.UNKNOWN}, 0.0)
    assert not doubts.after(holding(unheard, 30.0))
    assert set(doubts.after(holding(Setpoint(2.0, 0.5, 75.0), 60.0))) == {"n3_converter"}
    newer = Doubts(modbus_only(), fences(2))
    newer.wrote({"n3_converter": unheard}, {"n3_converter": Outcome.UNKNOWN}, 0.0)
    assert not newer.after(holding(Setpoint(2.0, 0.5, 75.0), 60.0)), "it may still hold our predecessor's"


def test_where_nothing_is_written_nobody_is_foreign() -> None:
    doubts = Doubts(modbus_only(), {})
    doubts.wrote({}, {"n3_converter": Outcome.VERIFIED}, 0.0)
    assert not doubts.after(holding(Setpoint(2.0, 0.5, 75.0), 30.0))


def test_of_what_was_never_heard_of_not_everything_is_ours_for_ever() -> None:
    doubts, first = Doubts(modbus_only(), fences(1)), Setpoint(9.0, 0.0, 75.0)
    doubts.wrote({}, {"n3_converter": Outcome.VERIFIED}, 0.0)
    for setpoint in (first, *(Setpoint(0.1 * k, 0.0, 75.0) for k in range(UNKNOWN_MAX))):
        doubts.wrote({"n3_converter": setpoint}, {"n3_converter": Outcome.UNKNOWN}, 0.0)
    assert set(doubts.after(holding(first, 30.0))) == {"n3_converter"}


def test_whoever_commands_a_converter_that_was_released_is_somebody_else() -> None:
    doubts, ours, theirs = Doubts(modbus_only(), fences(1)), Setpoint(1.0, 0.0, 75.0), Setpoint(2.0, 0.5, 75.0)
    doubts.wrote({"n3_converter": ours}, {"n3_converter": Outcome.VERIFIED}, 0.0)
    doubts.wrote({}, {"n3_converter": Outcome.VERIFIED}, 0.0)
    found = doubts.after(holding(theirs, 30.0))["n3_converter"]
    assert (found.kind, found.text) == (
        DoubtKind.FOREIGN,
        "holds 2.000 kW, 0.500 kvar, none of ours was read back",
    )


async def test_a_writer_with_a_higher_epoch_has_claimed_over(tmp_path: Path) -> None:
    async with bench(tmp_path, midsummer(), selfish_plans()) as lab:
        await settled(lab)
        n3 = lab.plant.laboratory.converters["n3_converter"]
        taken = {"p_setpoint_kw": 0.0, "q_setpoint_kvar": 0.0, "lease_s": 75.0, "writer_epoch": 7.0, "enable": 1.0}
        assert n3.write(taken) is None
        before = lab.loop.state["n4_converter"].in_force
        cycle = await lab.cycle()
        doubt = cycle.doubts["n3_converter"]
        assert (doubt.kind, doubt.text) == (DoubtKind.OVERTAKEN, "writer 7 has taken over from writer 1")
        assert not cycle.outcomes
        assert lab.loop.state["n4_converter"].in_force == before, "what was decided and not sent is not in force"
        assert lab.loop.state["n3_converter"].in_force is None, "it follows somebody else"


async def test_a_converter_that_its_meter_contradicts_is_stopped_alone(tmp_path: Path) -> None:
    async with bench(tmp_path, midsummer(), selfish_plans()) as lab:
        await settled(lab)
        lab.loop.overrides["n4_converter"] = Override(-2.0, 0.0, 1e9)
        for _ in range(3):
            assert not (await lab.cycle()).doubts
        lab.plant.laboratory.station("n4_converter").switch("inverted_sign", on=True)
        cycles = [await lab.cycle() for _ in range(2)]
        assert [set(cycle.doubts) for cycle in cycles] == [set(), {"n4_converter"}]
        assert cycles[1].doubts["n4_converter"].kind is DoubtKind.CONTRADICTED
        assert rungs(cycles[1]) == ["use", "safe", "use"]
        assert state_of(lab, "n4_converter") is ControlState.SAFE


async def test_an_override_lasts_for_its_time(tmp_path: Path) -> None:
    async with bench(tmp_path, midsummer(), selfish_plans()) as lab:
        await settled(lab)
        lab.loop.overrides["n3_converter"] = Override(1.5, 0.25, lab.clock.monotonic_s() + 61)
        cycles = [await lab.cycle() for _ in range(3)]
        wanted = [cycle.result.nodes["N3"].target for cycle in cycles]
        assert [(target.p_kw, target.q_kvar) for target in wanted[:2] if target] == [(1.5, 0.25)] * 2
        assert [set(cycle.overrides) for cycle in cycles] == [{"n3_converter"}, {"n3_converter"}, set()]
        plans = [line.plan_id for line in read_audit(lab.audit) if isinstance(line, AuditWrite)][-18:]
        assert plans.count("override") == 4


async def test_what_is_halted_sends_nothing_but_releases(tmp_path: Path) -> None:
    async with bench(tmp_path, midsummer(), selfish_plans()) as lab:
        await settled(lab)
        under_way = asyncio.create_task(lab.cycle())
        await asyncio.sleep(0)
        lab.loop.halt()
        assert set((await lab.loop.release("emergency stop")).values()) == {Outcome.VERIFIED}
        assert Outcome.VERIFIED not in (await under_way).outcomes.values()
        assert {state_of(lab, name) for name in lab.plant.laboratory.converters} == {ControlState.SAFE}


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (("n4_meter", 0.0, 0.0, 60.0), 'override: device: got "n4_meter"; allowed: one of n3_converter'),
        (("n3_converter", 12.0, 12.0, 60.0), "override: power: got 12 kW, 12 kvar; allowed: within 15 kVA"),
        (("n3_converter", float("nan"), 0.0, 60.0), "override: power: got nan kW, 0 kvar; allowed: within 15 kVA"),
        (("n3_converter", 0.0, 0.0, 3601.0), "override: for_s: got 3601 s; allowed: 0 … 3600 s"),
    ],
)
def test_an_override_that_nobody_may_ask_for(asked: tuple[str, float, float, float], line: str) -> None:
    with pytest.raises(InputError) as refused:
        check_override(*asked, rated_kva={"n3_converter": 15.0})
    assert str(refused.value) == line


def seen(status: ConverterStatus, at_s: float) -> Image:
    snapshot = Snapshot(datetime(2018, 6, 21, tzinfo=UTC), at_s, {}, {"n3_converter": status})
    return Image(snapshot, {}, {"n3_converter": Quality.GOOD}, {})


def following(epoch: int, left_s: float | None = None, p_kw: float = 1.0) -> ConverterStatus:
    return ConverterStatus(OperatingState.REMOTE, 15.0, p_kw, 0.0, epoch, left_s)


def kinds(found: Mapping[str, Doubt]) -> list[DoubtKind]:
    return [doubt.kind for doubt in found.values()]


@pytest.mark.parametrize(("found", "kind"), [(1, [DoubtKind.TWIN]), (2, []), (None, [DoubtKind.TWIN])])
def test_who_uses_our_epoch_before_us_is_a_twin(found: int | None, kind: list[DoubtKind]) -> None:
    fence = Fence(2, found)
    fence.epoch = 2
    assert kinds(Doubts(modbus_only(), {"n3_converter": fence}).after(seen(following(2), 0.0))) == kind


@pytest.mark.parametrize(
    ("left_s", "kind"),
    [(45.0, []), (50.0, []), (60.0, [DoubtKind.TWIN]), (75.0, []), (None, [])],
    ids=["ours", "clocks differ", "renewed", "does not count", "not shown"],
)
def test_a_lease_that_was_renewed_gives_a_twin_away(left_s: float | None, kind: list[DoubtKind]) -> None:
    doubts, ours = Doubts(modbus_only(), fences(1)), Setpoint(1.0, 0.0, 75.0)
    doubts.wrote({"n3_converter": ours}, {"n3_converter": Outcome.VERIFIED}, 0.0)
    assert kinds(doubts.after(seen(following(1, left_s), 30.0))) == kind


def test_a_write_that_is_executed_late_renews_no_lease_of_a_twin() -> None:
    doubts, ours = Doubts(modbus_only(), fences(1)), Setpoint(1.0, 0.0, 75.0)
    doubts.wrote({"n3_converter": ours}, {"n3_converter": Outcome.UNKNOWN}, 0.0)
    doubts.wrote({"n3_converter": ours}, {"n3_converter": Outcome.VERIFIED}, 30.0)
    assert not doubts.after(seen(following(1, 60.0), 60.0))


def test_who_commands_again_what_was_released_is_a_twin() -> None:
    doubts, ours = Doubts(modbus_only(), fences(1)), Setpoint(1.0, 0.0, 75.0)
    doubts.wrote({"n3_converter": ours}, {"n3_converter": Outcome.VERIFIED}, 0.0)
    assert kinds(doubts.after(seen(following(1, p_kw=3.0), 30.0))) == [DoubtKind.FOREIGN]
    assert kinds(doubts.after(seen(following(1, p_kw=3.0), 60.0))) == [DoubtKind.FOREIGN], "it was not released yet"
    doubts.wrote({}, {"n3_converter": Outcome.VERIFIED}, 60.0)
    assert kinds(doubts.after(seen(following(1, p_kw=3.0), 90.0))) == [DoubtKind.TWIN]


@pytest.mark.parametrize(
    ("before", "after", "interferes"),
    [
        (following(1, 45.0), following(1, 44.0), False),
        (following(1, 45.0), following(1, 75.0), True),
        (following(1, 45.0), following(1, 45.0, p_kw=1.5), True),
        (following(0), following(1), True),
        (following(1), following(2), False),
        (None, following(1), False),
    ],
    ids=["nothing", "lease", "setpoint", "our epoch", "another epoch, which the fence sees", "unheard"],
)
def test_who_writes_between_reading_and_writing_interferes(
    before: ConverterStatus | None, after: ConverterStatus, interferes: bool
) -> None:
    doubts = Doubts(modbus_only(), fences(1))
    assert doubts.interfered("n3_converter", before, after) is interferes
    assert kinds(doubts.interfering) == [DoubtKind.TWIN] * interferes
