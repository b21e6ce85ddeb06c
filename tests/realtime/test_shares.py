"""Several converters of one prosumer: its power is spread over those that can carry it, and its accounts add up."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources import Battery
from realtime.cycle import CycleInputs
from realtime.doubt import Doubt, DoubtKind
from realtime.emulation import BatteryState, Gap
from realtime.fallback import Rung, Source
from realtime.node import AgedTarget, NodeLimits, NodeResult, PlanTargets
from realtime.override import Override
from realtime.plane import ZERO, Power
from realtime.reasons import Reason
from realtime.shares import (
    combined_battery,
    converters_by_prosumer,
    prosumer_result,
    shares_by_rating,
)
from realtime.tracker import Target
from tests.realtime.laboratory import NOON, TARGET, Laboratory

BATTERY = Battery(2.5, 2.5)
RATED = {"big": 10.0, "small": 5.0}
SHARES = shares_by_rating(RATED)
LIMITS = {name: NodeLimits("P", BATTERY, RATED[name], 0.25, SHARES[name]) for name in RATED} | {
    "only": NodeLimits("Q", BATTERY, 15.0, 0.25)
}
PLAN = PlanTargets(AgedTarget(TARGET, 60.0))


def settled_laboratory() -> Laboratory:
    lab = Laboratory(LIMITS)
    for _ in range(4):
        lab.cycle()
    return lab


@given(st.dictionaries(st.text(max_size=3), st.floats(0.1, 1e3), min_size=1, max_size=6))
def test_shares_add_up_to_the_whole(rated_kva: dict[str, float]) -> None:
    shares = shares_by_rating(rated_kva)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert all(share * sum(rated_kva.values()) == pytest.approx(rated_kva[name]) for name, share in shares.items())
    (alone,) = shares_by_rating({"c": 3.3}).values()
    assert alone == 1.0, "to the last bit"


def test_two_converters_do_together_what_one_would() -> None:
    lab = settled_laboratory()
    decided = lab.cycle()
    together, one = decided.nodes["P"], decided.nodes["Q"]
    assert together.rung is one.rung is Rung.USE
    assert one.target == TARGET
    assert together.target is not None
    assert (together.target.p_kw, together.target.q_kvar) == pytest.approx((-2.0, 0.1))
    assert together.setpoint is not None
    assert (together.setpoint.p_kw, together.setpoint.q_kvar) == pytest.approx((-2.0, 0.1), abs=2e-3)
    assert decided.writes["big"].setpoint is not None
    assert decided.writes["big"].setpoint.p_kw == pytest.approx(-4 / 3, abs=1e-3)
    assert together.in_force is not None
    assert one.in_force is not None
    assert (together.in_force.load_kw, together.in_force.pv_kw) == pytest.approx((1.0, 4.0), abs=2e-3)
    assert together.in_force.battery.p_kw == pytest.approx(one.in_force.battery.p_kw, abs=4e-3)
    assert lab.socs["P"] == pytest.approx(lab.socs["Q"], abs=1e-4)
    assert together.soc == pytest.approx(lab.socs["P"])


def test_the_others_carry_what_a_dead_converter_did_once_its_lease_has_ended() -> None:
    lab = settled_laboratory()
    for k in range(5):
        decided = lab.cycle(dead=("small",))
        assert decided.writes["big"].rung is Rung.USE
        assert decided.writes["big"].setpoint is not None
        carried_kw = -4 / 3 if k < 2 else -2.0  # 30 s and 60 s after its last reading it may still follow its setpoint
        assert decided.writes["big"].setpoint.p_kw == pytest.approx(carried_kw, abs=2e-3)
        assert decided.nodes["P"].measured is None, "what the other draws is not known"
        assert decided.nodes["P"].rung is (Rung.HOLD if k == 0 else Rung.SAFE)
        assert decided.nodes["P"].target == TARGET
        assert decided.nodes["Q"].rung is Rung.USE
    assert Reason.DATA_LOST in decided.nodes["P"].reasons
    assert Reason.CONVERTERS_SATURATED not in decided.nodes["P"].reasons


def test_one_that_returns_takes_its_part_back_when_it_has_left_the_safe_state() -> None:
    lab = settled_laboratory()
    for _ in range(4):
        lab.cycle(dead=("small",))
    lab.held["small"] = ZERO
    decided = lab.cycle()
    assert decided.writes["small"].rung is Rung.USE, "three fresh readings at once"
    p_kw = {name: write.setpoint.p_kw for name, write in decided.writes.items() if write.setpoint}
    assert (p_kw["big"], p_kw["small"]) == pytest.approx((-4 / 3, -2 / 3), abs=2e-3)


def test_the_other_carries_at_once_what_one_at_its_panel_did() -> None:
    lab = settled_laboratory()
    decided = lab.cycle(local=("big",))
    assert set(decided.writes) == {"small", "only"}
    assert decided.writes["small"].setpoint is not None
    assert decided.writes["small"].setpoint.p_kw == pytest.approx(-2.0, abs=2e-3)
    node = decided.nodes["P"]
    assert (node.rung, Reason.STOPPED in node.reasons) == (Rung.SAFE, True)
    assert node.in_force is not None
    assert node.in_force.load_kw == pytest.approx(1.0, abs=2e-3), "the other reproduces all of the load"
    assert lab.cycle(local=("big", "small")).nodes["P"].setpoint is not None, "decided, though nothing is written"


def test_one_that_is_doubted_is_released_and_the_other_is_written() -> None:
    lab, doubt = settled_laboratory(), Doubt(DoubtKind.FOREIGN, "holds 1 kW")
    wanted = CycleInputs({"P": NOON, "Q": NOON}, {"P": PLAN, "Q": PLAN}, doubts={"small": doubt})
    decided = lab.cycle(wanted=wanted)
    assert (set(decided.writes), set(decided.releases)) == ({"big", "only"}, {"small"})
    assert decided.writes["big"].setpoint is not None
    assert decided.writes["big"].setpoint.p_kw == pytest.approx(-2.0, abs=2e-3)


def test_an_override_is_of_one_converter() -> None:
    lab = settled_laboratory()
    wanted = CycleInputs({"P": NOON, "Q": NOON}, {"P": PLAN, "Q": PLAN}, overrides={"small": Override(0.0, 0.0, 1e9)})
    decided = lab.cycle(wanted=wanted)
    small, big = decided.writes["small"].target, decided.writes["big"].target
    assert small == Target(0.0, 0.0, 1.0)
    assert big == TARGET.scaled(SHARES["big"]), "as without the override"
    assert decided.nodes["P"].target == Target(big.p_kw, big.q_kvar, pytest.approx(1.0))


def test_charge_and_energy_of_the_shares_together() -> None:
    """A quarter of the battery at 0.4 and the rest at 0.6: 0.55 of the whole, by energy."""
    quarter = BatteryState(0.4, 0.5, 0.01, 0.02, Gap(30.0, 0.1, 0.2), 1.0, 2.0, 0.1, 0.01)
    rest = BatteryState(0.6, 1.0, 0.03, 0.02, Gap(), 3.0, 1.0, 0.2, 0.02)
    whole = combined_battery([(quarter, 0.25), (rest, 0.75)])
    assert whole is not None
    assert whole.soc == pytest.approx(0.55)
    assert (whole.battery_kw, whole.charged_kwh, whole.discharged_kwh) == (1.5, 4.0, 3.0)
    assert (whole.estimated_kwh, whole.unexplained_kwh) == pytest.approx((0.3, 0.03))
    assert (whole.below, whole.above) == pytest.approx((0.025, 0.02))
    assert (whole.gap.seconds, whole.gap.below, whole.gap.above) == pytest.approx((30.0, 0.025, 0.05))
    assert combined_battery([(rest, 1.0)]) is rest
    assert combined_battery([(None, 0.5), (None, 0.5)]) is None


def test_what_is_not_known_of_all_is_not_known() -> None:
    known = NodeResult(None, Rung.USE, Source.INTRADAY, (), TARGET, Power(1.0, 0.0), None, 0.5)
    lost = replace(known, rung=Rung.HOLD, source=Source.DAY_AHEAD, reasons=(Reason.DATA_HELD,), measured=None, soc=None)
    both = prosumer_result(("big", "small"), {"big": known, "small": lost}, LIMITS)
    assert (both.measured, both.soc, both.setpoint, both.in_force) == (None, None, None, None)
    assert (both.rung, both.source, both.reasons) == (Rung.HOLD, Source.DAY_AHEAD, (Reason.DATA_HELD,))
    assert prosumer_result(("only",), {"only": known}, LIMITS) is known
    assert converters_by_prosumer(LIMITS) == {"P": ("big", "small"), "Q": ("only",)}
