"""Several converters of one prosumer: shares, their sum, and a dead one that costs its own share only."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.devices import OperatingState, Outcome
from core.resources import Battery
from realtime.cycle import CycleDecision, CycleInputs, CycleMemory, decide, next_states
from realtime.doubt import Doubt, DoubtKind
from realtime.emulation import BatteryState, Gap
from realtime.fallback import Rung, Source
from realtime.node import AgedTarget, NodeLimits, NodeResult, NodeState, PlanTargets
from realtime.override import Override
from realtime.plane import ZERO, Power
from realtime.reasons import Reason
from realtime.shares import (
    battery_share,
    combined_battery,
    converters_by_prosumer,
    prosumer_batteries,
    prosumer_result,
    shares_by_rating,
)
from realtime.tracker import LoadAndPv, Target
from tests.realtime.plant import CYCLE_S, reading, snapshot, status

BATTERY = Battery(2.5, 2.5)
NOON, TARGET = LoadAndPv(1.0, 0.2, 4.0), Target(-2.0, 0.1, 1.0)
RATED = {"big": 10.0, "small": 5.0}
SHARES = shares_by_rating(RATED)
LIMITS = {
    name: NodeLimits("P", battery_share(BATTERY, SHARES[name]), RATED[name], 0.25, SHARES[name]) for name in RATED
} | {"only": NodeLimits("Q", BATTERY, 15.0, 0.25)}
PLAN = PlanTargets(AgedTarget(TARGET, 60.0))
FOLLOWS, LOCAL = OperatingState.REMOTE, OperatingState.LOCAL


class Laboratory:
    """Perfect converters: what one is sent it does, unless it is dead, or somebody at its panel has it."""

    def __init__(self) -> None:
        self.states = {name: NodeState.start(node.battery) for name, node in LIMITS.items()}
        self.held = dict.fromkeys(LIMITS, ZERO)
        self.accepted_s: dict[str, float] = {}
        self.at_s = 0.0

    def cycle(
        self, dead: tuple[str, ...] = (), local: tuple[str, ...] = (), wanted: CycleInputs | None = None
    ) -> CycleDecision:
        self.at_s += CYCLE_S
        alive = [name for name in LIMITS if name not in dead]
        self.held.update(dict.fromkeys(local, ZERO))
        said = {name: status(self.held[name], state=LOCAL if name in local else FOLLOWS) for name in alive}
        image = snapshot(self.at_s, *(reading(n, self.held[n], self.at_s) for n in alive), statuses=said, polls=3)
        wanted = wanted or CycleInputs({"P": NOON, "Q": NOON}, {"P": PLAN, "Q": PLAN})
        decided = decide(image, wanted, CycleMemory(self.states, self.accepted_s), LIMITS)
        outcomes = {name: Outcome.UNKNOWN if name in dead else Outcome.VERIFIED for name in decided.writes}
        self.states = next_states(decided, self.states, outcomes)
        for name in decided.writes.keys() - set(dead):
            setpoint = decided.writes[name].setpoint
            assert setpoint is not None
            self.held[name], self.accepted_s[name] = Power(setpoint.p_kw, setpoint.q_kvar), self.at_s
        return decided

    @property
    def socs(self) -> dict[str, float]:
        return {name: battery.soc for name, battery in prosumer_batteries(self.states, LIMITS).items() if battery}


def settled_laboratory() -> Laboratory:
    lab = Laboratory()
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


def test_a_dead_converter_costs_its_own_share() -> None:
    lab = settled_laboratory()
    for k in range(4):
        decided = lab.cycle(dead=("small",))
        assert decided.writes["big"].rung is Rung.USE
        assert decided.writes["big"].setpoint is not None
        assert decided.writes["big"].setpoint.p_kw == pytest.approx(-4 / 3, abs=1e-3)
        assert decided.nodes["P"].measured is None, "what the other draws is not known"
        assert decided.nodes["P"].rung is (Rung.HOLD if k == 0 else Rung.SAFE)
        assert decided.nodes["Q"].rung is Rung.USE
    assert Reason.DATA_LOST in decided.nodes["P"].reasons


def test_one_at_its_panel_is_not_written_and_the_other_is() -> None:
    lab = settled_laboratory()
    decided = lab.cycle(local=("big",))
    assert set(decided.writes) == {"small", "only"}
    assert decided.writes["small"].setpoint is not None
    assert decided.writes["small"].setpoint.p_kw == pytest.approx(-2 / 3, abs=1e-3)
    node = decided.nodes["P"]
    assert (node.rung, Reason.STOPPED in node.reasons) == (Rung.SAFE, True)
    assert node.in_force is not None
    assert node.in_force.load_kw == pytest.approx(1 / 3, abs=1e-3), "of the load nobody reproduces the other's part"


def test_one_that_is_doubted_is_released_and_the_other_is_written() -> None:
    lab, doubt = settled_laboratory(), Doubt(DoubtKind.FOREIGN, "holds 1 kW")
    wanted = CycleInputs({"P": NOON, "Q": NOON}, {"P": PLAN, "Q": PLAN}, doubts={"small": doubt})
    decided = lab.cycle(wanted=wanted)
    assert (set(decided.writes), set(decided.releases)) == ({"big", "only"}, {"small"})


def test_an_override_is_of_one_converter() -> None:
    lab = settled_laboratory()
    wanted = CycleInputs({"P": NOON, "Q": NOON}, {"P": PLAN, "Q": PLAN}, overrides={"small": Override(0.0, 0.0, 1e9)})
    decided = lab.cycle(wanted=wanted)
    small, big = decided.writes["small"].target, decided.writes["big"].target
    assert small == Target(0.0, 0.0, 1.0)
    assert big == TARGET.scaled(SHARES["big"])
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
