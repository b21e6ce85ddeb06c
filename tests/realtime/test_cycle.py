"""The decision of a whole cycle: who is written what, who is released, who is left alone, and what is remembered."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import nan

import pytest

from core.devices import ConverterStatus, OperatingState, Outcome
from core.resources import Battery
from realtime.cycle import CycleDecision, CycleInputs, CycleMemory, GuardianRelease, decide, next_states
from realtime.doubt import Doubt, DoubtKind
from realtime.fallback import LadderState, Rung
from realtime.node import NodeLimits, NodeResult, NodeState
from realtime.override import Override, standing
from realtime.plane import ZERO, Power
from realtime.reasons import Reason
from realtime.tracker import LoadAndPv
from tests.realtime.plant import BEFORE, NOON, RUNNING, TARGET, offers, reading, snapshot, status

AT_S = 1000.0
NAMES = ("N3", "N4", "N5")
CONVERTER = {name: f"{name}_converter" for name in NAMES}
LIMITS = {CONVERTER[name]: NodeLimits(name, Battery(2.5, 2.5), 15.0, 0.25) for name in NAMES}
N4 = CONVERTER["N4"]
FOREIGN, OVERTAKEN = Doubt(DoubtKind.FOREIGN, "holds 1 kW"), Doubt(DoubtKind.OVERTAKEN, "writer 7 has taken over")


@dataclass(frozen=True)
class Given:
    """Three prosumers alike, each with a converter that follows what it was sent a cycle ago."""

    statuses: Mapping[str, ConverterStatus | None] = field(default_factory=dict)
    amounts: Mapping[str, LoadAndPv | None] = field(default_factory=dict)
    states: Mapping[str, NodeState] = field(default_factory=dict)
    accepted_s: Mapping[str, float] = field(default_factory=dict)
    released: Mapping[str, GuardianRelease] = field(default_factory=dict)
    overrides: Mapping[str, Override] = field(default_factory=dict)
    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    write: bool = True

    @property
    def before(self) -> CycleMemory:
        accepted_s = {name: 970.0 for name in CONVERTER.values() if name not in self.released}
        states = dict.fromkeys(CONVERTER.values(), RUNNING)
        return CycleMemory({**states, **self.states}, {**accepted_s, **self.accepted_s}, self.released)

    def decided(self) -> CycleDecision:
        readings = [reading(converter, BEFORE, AT_S - 1) for converter in CONVERTER.values()]
        said = {**{name: status(BEFORE) for name in CONVERTER.values()}, **self.statuses}
        amounts = {**dict.fromkeys(NAMES, NOON), **self.amounts}
        wanted = CycleInputs(
            amounts={name: seen for name, seen in amounts.items() if seen},
            targets={name: offers(TARGET) for name in NAMES},
            overrides=self.overrides,
            doubts=self.doubts,
            write=self.write,
        )
        image = snapshot(AT_S, *readings, statuses={name: one for name, one in said.items() if one})
        return decide(image, wanted, self.before, LIMITS)


def net(result: NodeResult) -> tuple[float, float]:
    assert result.setpoint is not None
    return result.setpoint.p_kw, result.setpoint.q_kvar


def test_everybody_is_written_its_target() -> None:
    decided = Given().decided()
    assert list(decided.writes) == list(CONVERTER.values())
    assert {net(result) for result in decided.writes.values()} == {(-2.0, 0.0)}
    assert (dict(decided.releases), decided.withheld) == ({}, frozenset())
    assert {result.rung for result in decided.nodes.values()} == {Rung.USE}


@pytest.mark.parametrize("state", [OperatingState.OFF, OperatingState.LOCAL, OperatingState.FAULT])
def test_whoever_is_at_the_panel_has_it(state: OperatingState) -> None:
    decided = Given(statuses={N4: status(BEFORE, state=state)}).decided()
    assert set(decided.writes) == {CONVERTER["N3"], CONVERTER["N5"]}
    assert not decided.releases
    assert Reason.STOPPED in decided.nodes["N4"].reasons


@pytest.mark.parametrize("kind", [DoubtKind.FOREIGN, DoubtKind.CONTRADICTED])
def test_who_is_doubted_is_released_and_nobody_else_feels_it(kind: DoubtKind) -> None:
    doubt = Doubt(kind, "why")
    decided = Given(doubts={N4: doubt}).decided()
    assert (set(decided.writes), dict(decided.releases)) == ({CONVERTER["N3"], CONVERTER["N5"]}, {N4: doubt})
    assert decided.nodes["N3"] == Given().decided().nodes["N3"]
    safe = Given(doubts={N4: doubt}, statuses={N4: status(ZERO, state=OperatingState.SAFE)}).decided()
    assert not safe.releases, "it follows nobody"
    silent = Given(doubts={N4: doubt}, statuses={N4: None}).decided()
    assert dict(silent.releases) == {N4: doubt}, "it may still follow somebody"


def test_another_writer_is_yielded_to_by_all() -> None:
    given = Given(doubts={N4: OVERTAKEN, CONVERTER["N5"]: FOREIGN})
    decided = given.decided()
    assert not decided.writes
    assert decided.withheld == {CONVERTER["N3"]}
    assert dict(decided.releases) == {CONVERTER["N5"]: FOREIGN}, "what another writer has taken is that one's"
    after = next_states(decided, given.before.states, {CONVERTER["N5"]: Outcome.VERIFIED})
    assert (after[CONVERTER["N3"]].in_force, after[CONVERTER["N3"]].sent) == (RUNNING.in_force, BEFORE), (
        "it was not sent"
    )
    assert after[N4].in_force is None


@pytest.mark.parametrize("said", [None, replace(status(BEFORE), p_setpoint_kw=None)])
def test_who_has_neither_accepted_nor_shown_a_setpoint_in_this_process_is_not_written(
    said: ConverterStatus | None,
) -> None:
    """The state of a predecessor may tell of a setpoint that never arrived."""
    given = Given(statuses={N4: said}, released={N4: GuardianRelease(AT_S - 20, 3)})
    decided = given.decided()
    assert (set(decided.writes), decided.withheld) == ({CONVERTER["N3"], CONVERTER["N5"]}, {N4})
    assert next_states(decided, given.before.states, {})[N4].sent == BEFORE
    assert N4 in Given(statuses={N4: said}).decided().writes, "it has accepted one of ours"


def test_a_setpoint_of_somebody_else_gives_no_time_to_ramp() -> None:
    """When it was accepted is unknown; that of our own last one was a cycle ago."""
    other = Power(5.0, 0.0)
    decided = Given(statuses={N4: status(other)}).decided()
    assert net(decided.writes[N4]) == (5.0, 0.0)
    coarse = Power(BEFORE.p_kw + 0.015, BEFORE.q_kvar)
    assert net(Given(statuses={N4: status(coarse)}).decided().writes[N4]) == (-2.0, 0.0)


def test_in_monitor_all_is_decided_and_nothing_done() -> None:
    decided = Given(write=False, doubts={N4: FOREIGN}).decided()
    assert net(decided.nodes["N3"]) == (-2.0, 0.0)
    assert (decided.writes, decided.releases, decided.withheld) == ({}, {}, frozenset())
    assert {(state.in_force, state.sent) for state in decided.states.values()} == {(None, None)}
    assert next_states(decided, {}, {}) == decided.states


def test_an_operator_comes_before_the_plan_but_behind_the_gate() -> None:
    decided = Given(overrides={N4: Override(-1.5, 0.5, AT_S + 60), CONVERTER["N5"]: Override(99.0, 0.0, 1e9)}).decided()
    assert net(decided.writes[N4]) == pytest.approx((-1.5, 0.5))
    assert decided.nodes["N5"].setpoint is not None
    assert Power(*net(decided.nodes["N5"])).distance_kva(BEFORE) <= 0.25 * 30 + 1e-3
    assert net(decided.nodes["N3"]) == (-2.0, 0.0)
    passing = {"a": Override(0.0, 0.0, AT_S), "b": Override(0.0, 0.0, AT_S + 1)}
    assert set(standing(passing, AT_S)) == {"b"}


def test_what_a_device_refused_is_not_in_force() -> None:
    given = Given()
    decided = given.decided()
    outcomes = dict(zip(CONVERTER.values(), (Outcome.VERIFIED, Outcome.REJECTED, Outcome.UNKNOWN), strict=True))
    after = next_states(decided, given.before.states, outcomes)
    assert (after[N4].in_force, after[N4].sent) == (RUNNING.in_force, BEFORE)
    assert after[N4].cycle_s == AT_S, "all else goes on"
    for name in (CONVERTER["N3"], CONVERTER["N5"]):
        assert after[name] == decided.states[name]
        assert after[name].sent == Power(-2.0, 0.0)
    assert next_states(decided, {}, outcomes)[N4].sent == Power(-2.0, 0.0), "there is nothing to go back to"


@pytest.mark.parametrize(
    ("epoch", "ours", "reach_s"), [(1, False, 4.0), (2, False, 0.0), (1, True, 30.0)], ids=["untouched", "else", "ours"]
)
def test_the_ramp_out_of_the_safe_state_counts_from_the_release(epoch: int, ours: bool, reach_s: float) -> None:
    """A release by the guardian, by somebody else since, and of a converter that we have written ourselves since."""
    decided = Given(
        statuses={N4: status(BEFORE, state=OperatingState.SAFE)},
        released={N4: GuardianRelease(AT_S - 4.0, epoch)},
        accepted_s={N4: AT_S - 30.0} if ours else {},
    ).decided()
    moved = Power(*net(decided.nodes["N4"]))
    assert moved.s_kva == pytest.approx(min(0.25 * reach_s, 2.0), abs=4e-3), "it holds nothing, whatever it shows"


@pytest.mark.parametrize(
    "given",
    [
        Given(statuses={N4: None}, amounts={"N4": None}),
        Given(doubts={N4: FOREIGN}),
        Given(statuses={N4: status(Power(nan, nan))}, accepted_s={N4: nan}),
        Given(amounts={"N4": LoadAndPv(nan, nan, nan)}),
    ],
    ids=["nothing", "stop", "nan read back", "nan load"],
)
def test_nobody_feels_what_happens_to_another(given: Given) -> None:
    good, done = Given().decided(), given.decided()
    assert {name: done.nodes[name] for name in ("N3", "N5")} == {name: good.nodes[name] for name in ("N3", "N5")}
    assert {name: state for name, state in done.states.items() if name != N4} == {
        name: state for name, state in good.states.items() if name != N4
    }
    assert Power(*net(done.nodes["N4"])).finite


def test_a_chain_that_raises_releases_its_own_device_only() -> None:
    ahead = replace(RUNNING, cycle_s=5000.0)
    done = Given(states={N4: ahead}).decided()
    failed = done.writes[N4]
    assert (failed.setpoint, failed.rung, failed.reasons) == (None, Rung.SAFE, (Reason.CHAIN_FAILED,))
    assert failed.error is not None
    assert failed.error.startswith("ValueError: cannot book")
    assert done.states[N4] == replace(ahead, ladder=LadderState())
    assert done.nodes["N3"] == Given().decided().nodes["N3"]
    silent = Given(states={N4: ahead}, statuses={N4: None}, released={N4: GuardianRelease(AT_S - 20, 3)}).decided()
    assert silent.writes[N4].setpoint is None, "whatever it holds"
    assert not silent.withheld


def test_a_time_that_is_no_number_is_no_limit_either() -> None:
    done = Given(accepted_s={N4: nan}).decided()
    assert (done.nodes["N4"].setpoint, done.nodes["N4"].reasons) == (None, (Reason.CHAIN_FAILED,))
    assert done.nodes["N5"] == Given().decided().nodes["N5"]


def test_prosumers_of_whom_nothing_is_known() -> None:
    done = decide(snapshot(0.0), CycleInputs(), CycleMemory(), LIMITS)
    assert {name: net(result) for name, result in done.nodes.items()} == dict.fromkeys(NAMES, (0.0, 0.0))
    assert set(done.states) == set(CONVERTER.values())
