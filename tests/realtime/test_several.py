"""Several converters of one prosumer in a cycle: preferences, abilities, what is missing, and the battery's account."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.resources import Battery
from realtime.fallback import Rung
from realtime.node import NodeLimits
from realtime.override import Override
from realtime.plane import ZERO, Power
from realtime.plants import Inverter
from realtime.reasons import Reason
from realtime.storage import soc_change
from realtime.timing import LEASE_S, S_PER_H
from realtime.tracker import LoadAndPv, Target
from tests.realtime.laboratory import NOON, TARGET, Laboratory
from tests.realtime.plant import CYCLE_S

BATTERY = Battery(2.5, 2.5)
BIG = NodeLimits("P", BATTERY, 10.0, 0.25, 2 / 3)
SMALL = NodeLimits("P", BATTERY, 5.0, 0.25, 1 / 3)
TIGHT = {"big": replace(BIG, s_max_kva=1.5, share=0.5), "small": replace(SMALL, s_max_kva=1.5, share=0.5)}


def settled(lab: Laboratory) -> Laboratory:
    for _ in range(4):
        lab.cycle()
    return lab


def test_the_preferred_one_carries_it_alone_as_long_as_it_can() -> None:
    lab = settled(Laboratory({"big": replace(BIG, priority=1.0), "small": SMALL}))
    powers = lab.setpoints(lab.cycle())
    assert powers["big"] == ZERO
    assert (powers["small"].p_kw, powers["small"].q_kvar) == pytest.approx((-2.0, 0.1), abs=2e-3)
    lab.target, lab.amounts = Target(-7.0, 0.0, 1.0), LoadAndPv(1.0, 0.0, 8.0)
    lab.cycle()
    powers = lab.setpoints(lab.cycle())
    assert (powers["big"].p_kw, powers["small"].p_kw) == pytest.approx((-2.0, -5.0), abs=4e-3)


def test_one_without_reactive_power_leaves_it_to_the_other() -> None:
    lab = settled(Laboratory({"big": replace(BIG, reactive=False), "small": SMALL}))
    lab.target = replace(TARGET, q_kvar=0.9)
    decided = lab.cycle()
    powers = lab.setpoints(decided)
    assert powers["big"].q_kvar == 0.0
    assert powers["small"].q_kvar == pytest.approx(0.9, abs=2e-3)
    assert sum(power.p_kw for power in powers.values()) == pytest.approx(-2.0, abs=2e-3)
    asked = lab.wanted(overrides={"big": Override(-1.0, 1.0, 1e9)})
    decided = lab.cycle(wanted=asked)
    assert lab.setpoints(decided)["big"] == Power(pytest.approx(-1.0, abs=2e-3), 0.0)
    assert Reason.CAPABILITY in decided.writes["big"].reasons


def test_what_they_cannot_carry_together_is_in_the_record() -> None:
    lab = settled(Laboratory(TIGHT))
    decided = lab.cycle()
    assert Reason.CONVERTERS_SATURATED not in decided.nodes["P"].reasons
    for _ in range(3):
        decided = lab.cycle(local=("small",))
    node = decided.nodes["P"]
    assert node.setpoint is not None
    assert node.in_force is not None
    assert (node.target, node.setpoint.p_kw) == (TARGET, -1.5)
    assert Reason.CONVERTERS_SATURATED in node.reasons
    assert node.in_force.battery.p_kw == pytest.approx(1.0 - 4.0 + 1.5), "the battery gives way first"
    assert node.in_force.load_kw == pytest.approx(1.0)


def test_a_silent_one_counts_with_its_setpoint_while_it_may_follow_it() -> None:
    lab = settled(Laboratory({"big": BIG, "small": SMALL}))
    lab.target = replace(TARGET, p_kw=-2.5)
    held = lab.held["small"]
    for rung in (Rung.HOLD, Rung.SAFE):
        decided = lab.cycle(dead=("small",))
        assert decided.writes["small"].rung is rung
        assert decided.writes["big"].setpoint is not None
        assert decided.writes["big"].setpoint.p_kw + held.p_kw == pytest.approx(-2.5, abs=3e-3)
    decided = lab.cycle(dead=("small",))
    assert lab.held["small"] == ZERO, "its lease has ended"
    assert lab.setpoints(decided)["big"].p_kw == pytest.approx(-2.5, abs=3e-3)


def test_without_a_plan_they_carry_the_net_load_together() -> None:
    lab = settled(Laboratory({"big": BIG, "small": SMALL}))
    wanted = replace(lab.wanted(), targets={})
    decided = lab.cycle(wanted=wanted)
    assert decided.nodes["P"].rung is Rung.SAFE
    assert sum(power.p_kw for power in lab.setpoints(decided).values()) == pytest.approx(-3.0, abs=3e-3)
    alone = lab.cycle(local=("big",), wanted=wanted)
    assert lab.setpoints(alone)["small"].p_kw == pytest.approx(-3.0, abs=3e-3)
    nobody = lab.cycle(wanted=replace(wanted, amounts={}))
    assert nobody.nodes["P"].rung is Rung.SAFE


def test_a_fault_in_one_chain_releases_that_one_and_the_other_carries_on() -> None:
    lab = settled(Laboratory({"big": BIG, "small": SMALL}))
    lab.states["small"] = replace(lab.states["small"], cycle_s=1e9)
    decided = lab.cycle()
    assert decided.writes["small"].setpoint is None
    assert Reason.CHAIN_FAILED in decided.nodes["P"].reasons
    assert "ValueError" in (decided.nodes["P"].error or "")
    assert lab.setpoints(decided)["big"].p_kw == pytest.approx(-2.0, abs=3e-3)


def test_reactive_power_of_pv_is_shared_with_the_rest() -> None:
    roof = (Inverter(5.0),)
    team = {"big": replace(BIG, inverters=roof, battery=None), "small": replace(SMALL, inverters=roof, battery=None)}
    lab = Laboratory(team, target=Target(-3.0, -2.0, 1.0))
    decided = settled(lab).cycle()
    node = decided.nodes["P"]
    assert node.in_force is not None
    assert node.setpoint is not None
    assert (node.setpoint.p_kw, node.setpoint.q_kvar) == pytest.approx((-3.0, -2.0), abs=3e-3)
    assert node.in_force.pv_kvar == pytest.approx(2.2, abs=5e-3)


def test_all_accounts_have_one_charge_and_hold_what_really_flowed() -> None:
    """Twenty minutes in which each is away once: the charge is that of the energy that the sum of both has moved."""
    lab, soc = settled(Laboratory({"big": replace(BIG, priority=1.0), "small": SMALL})), None
    for k in range(40):
        away = ("big",) if 8 <= k < 12 else ("small",) if 20 <= k < 26 else ()
        lab.amounts = replace(NOON, load_kw=1.0 + 0.02 * k)
        decided = lab.cycle(local=away)
        node = decided.nodes["P"]
        assert len({state.battery.soc for state in lab.states.values() if state.battery}) == 1
        if soc is not None:
            assert node.soc == pytest.approx(soc, abs=1e-9)
        assert node.soc is not None
        assert node.in_force is not None
        battery_kw = node.in_force.load_kw - node.in_force.pv_kw - sum(power.p_kw for power in lab.held.values())
        soc = node.soc + soc_change(BATTERY, battery_kw, CYCLE_S / S_PER_H)


AWAY = st.lists(
    st.tuples(st.sampled_from(["dead", "local", ""]), st.sampled_from(["big", "small", "third"]), st.integers(1, 6)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=30, deadline=None)
@given(AWAY, st.lists(st.tuples(st.floats(-12, 12), st.floats(-6, 6), st.floats(0, 8)), min_size=30, max_size=30))
def test_whoever_is_away_every_rule_of_every_device_holds(
    away: list[tuple[str, str, int]], day: list[tuple[float, float, float]]
) -> None:
    third = NodeLimits("P", BATTERY, 3.0, 0.04, 3 / 18, reactive=False, priority=-1.0)
    limits = {"big": replace(BIG, share=10 / 18), "small": replace(SMALL, share=5 / 18, priority=2.0), "third": third}
    lab = settled(Laboratory(limits))
    faults = [(kind, name) for kind, name, cycles in away for _ in range(cycles)]
    for (p_kw, q_kvar, pv_kw), (kind, name) in zip(day, faults, strict=False):
        lab.target, lab.amounts = Target(p_kw, q_kvar, 1.0), LoadAndPv(1.0, 0.2, pv_kw)
        before = dict(lab.held)
        decided = lab.cycle(**{kind: (name,)} if kind else {})
        for one, power in lab.setpoints(decided).items():
            device = limits[one]
            assert power.s_kva <= device.s_max_kva + 1e-9
            assert device.reactive or power.q_kvar == 0
            if one != name:
                assert power.distance_kva(before[one]) <= device.ramp_kva_per_s * CYCLE_S + 1e-6
        soc, node = decided.nodes["P"].soc, decided.nodes["P"]
        assert soc is not None
        if node.in_force is not None:
            later = soc + soc_change(BATTERY, node.in_force.battery.p_kw, LEASE_S / S_PER_H)
            assert min(BATTERY.soc_min, soc) - 1e-6 <= later <= max(BATTERY.soc_max, soc) + 1e-6
