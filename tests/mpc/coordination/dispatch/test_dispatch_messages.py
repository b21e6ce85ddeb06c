"""Dispatch over messages: the same result, lost and late messages, mute resources, deadlines, and who learns what."""

from collections.abc import Sequence
from dataclasses import fields
from functools import partial

import numpy as np
import pytest

from mpc.coordination.dispatch.coordinator import DispatchSettings
from mpc.coordination.dispatch.coordinator_node import PATIENCE, DispatchCoordinator
from mpc.coordination.dispatch.fleet import Fleet
from mpc.coordination.dispatch.outcome import DispatchOutcome
from mpc.coordination.dispatch.resource_node import DispatchResourceNode
from mpc.coordination.dispatch.signals import DispatchAnswer, DispatchSignal
from mpc.coordination.dispatch.solve import coordinate_dispatch, coordinate_fleet, dispatch
from mpc.coordination.dispatch.target import Norm, SectorTarget
from mpc.coordination.links import MessageLink
from mpc.coordination.metering import MessageMeter
from mpc.coordination.nodes import Node
from mpc.coordination.rounds import Carried, Carrier, run_rounds
from tests.support.dispatches import central_optimum, random_dispatch

SETTINGS = DispatchSettings()


def over(link: MessageLink, fleet: Fleet, target: SectorTarget, **limits: int) -> DispatchOutcome:
    return coordinate_dispatch(fleet, target, SETTINGS, lambda _: partial(run_rounds, link=link, **limits))


def without(fleet: Fleet, names: set[str], target: SectorTarget) -> tuple[Fleet, SectorTarget]:
    """The problem with some resources held at their fallback."""
    held = np.array([name in names for name in fleet.names])
    output = fleet.fallback_kw[held] @ fleet.efficiency[held]
    arrays = (fleet.capacity_kw, fleet.efficiency, fleet.priority, fleet.fallback_kw)
    rest = Fleet(tuple(name for name in fleet.names if name not in names), *(each[~held] for each in arrays))
    return rest, target.beyond(output)


@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize(("seed", "sectors"), [(11, 4), (13, 3), (14, 3), (15, 12), (17, 24)])
def test_messages_and_fleets_change_nothing(seed: int, sectors: int, norm: Norm) -> None:
    fleet, target = random_dispatch(seed, 30, sectors, norm)
    ways = (
        dispatch(fleet, target),
        coordinate_dispatch(fleet, target, SETTINGS),
        coordinate_fleet(fleet, target, SETTINGS),
    )
    for outcome in ways:
        assert (outcome.converged, outcome.silent) == (True, ())
        scale = max(abs(outcome.bound), target.distance(np.zeros(sectors)))
        assert outcome.objective == pytest.approx(outcome.rounds[-1].objective, abs=1e-9 * scale)
        assert outcome.objective - ways[0].objective <= 1e-3 * scale


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lost_and_late_messages_cost_time_alone(seed: int) -> None:
    fleet, target = random_dispatch(13 + seed, 12, 3, Norm.L1)
    outcome = over(MessageLink(loss=0.3, delay_rounds=2, seed=seed), fleet, target)
    assert (outcome.converged, outcome.silent) == (True, ())
    assert outcome.inputs_kw == pytest.approx(coordinate_dispatch(fleet, target, SETTINGS).inputs_kw, abs=1e-9)


def test_resources_have_adopted_what_the_coordinator_believes() -> None:
    fleet, target = random_dispatch(53, 20, 12, Norm.L1)
    seen: list[DispatchResourceNode] = []

    def carry(nodes: Sequence[Node]) -> Carried:
        seen.extend(node for node in nodes if isinstance(node, DispatchResourceNode))
        return run_rounds(nodes, link=MessageLink(loss=0.2, delay_rounds=1, seed=9))

    outcome = coordinate_dispatch(fleet, target, SETTINGS, lambda _: carry)
    assert len(outcome.rounds) > 10
    adopted = [float(node.responder.inputs_kw[0]) for node in seen]
    assert adopted == pytest.approx(outcome.inputs_kw, abs=1e-9)


def test_a_mute_resource_is_held_at_its_fallback() -> None:
    fleet, target = random_dispatch(17, 15, 3, Norm.L1)
    fallback = np.where(np.arange(15) == 4, 0.5 * fleet.capacity_kw, 0.0)
    fleet = Fleet(fleet.names, fleet.capacity_kw, fleet.efficiency, fleet.priority, fallback)
    outcome = over(MessageLink(crashes={"r4": 1}), fleet, target)
    assert [(each.name, each.age) for each in outcome.silent] == [("r4", None)]
    assert outcome.inputs_kw[4] == pytest.approx(fallback[4])
    assert outcome.converged
    best, _ = central_optimum(*without(fleet, {"r4"}, target))
    held_cost = float(fleet.input_cost[4] * fallback[4])
    assert outcome.bound <= best + held_cost + 1e-6
    assert outcome.objective - best - held_cost <= 1e-3 * max(abs(outcome.bound), target.distance(np.zeros(3))) + 1e-6


def test_a_resource_that_falls_silent_is_held_at_its_last_answer() -> None:
    fleet, target = random_dispatch(19, 15, 3, Norm.L1)
    outcome = over(MessageLink(crashes={"r2": 6}), fleet, target)
    (silent,) = outcome.silent
    assert silent.name == "r2"
    assert silent.age is not None
    assert 0 < silent.age < len(outcome.rounds)
    assert outcome.converged
    assert 0 <= outcome.inputs_kw[2] <= fleet.capacity_kw[2]


def test_nobody_answers() -> None:
    fleet, target = random_dispatch(23, 6, 3, Norm.L1)
    outcome = over(MessageLink(loss=1.0), fleet, target)
    assert len(outcome.silent) == 6
    assert outcome.objective == pytest.approx(target.distance(np.zeros(3)))
    assert outcome.gap_rel <= 1e-3
    never = coordinate_dispatch(fleet, target, SETTINGS, lambda _: carries_nothing)
    assert never.objective == outcome.objective


def carries_nothing(nodes: object) -> object:
    return None


@pytest.mark.parametrize("hops", [2, 3, 7, 20, PATIENCE])
def test_a_deadline_leaves_a_result_at_any_time(hops: int) -> None:
    """The mute one is named by the deadline, whenever that is; what is known of the others is their result."""
    fleet, target = random_dispatch(29, 8, 3, Norm.L1)
    outcome = over(MessageLink(crashes={"r1": 1}), fleet, target, max_rounds=hops)
    assert "r1" in [each.name for each in outcome.silent]
    assert np.all((outcome.inputs_kw >= 0) & (outcome.inputs_kw <= fleet.capacity_kw))
    best, _ = central_optimum(*without(fleet, {"r1"}, target))
    assert outcome.bound <= best + 1e-6
    assert outcome.objective >= best - 1e-6


def test_one_message_per_resource_and_direction_of_a_size_that_does_not_grow() -> None:
    sent = {}
    for resources in (5, 50):
        fleet, target = random_dispatch(31, resources, 3, Norm.L2)
        meter = MessageMeter()
        carry: Carrier = meter.over(run_rounds)
        outcome = coordinate_dispatch(fleet, target, SETTINGS, lambda _, carry=carry: carry)
        asked = len(outcome.rounds) + 1  # at the end all adopt the result
        assert meter.messages == 2 * resources * asked
        sent[resources] = meter.payload_bytes / meter.messages
    assert sent[50] <= 1.3 * sent[5]


def test_messages_hold_sums_and_prices_alone() -> None:
    assert [each.name for each in fields(DispatchSignal)] == ["round", "rho", "relaxation", "pull", "price", "adopt"]
    assert [each.name for each in fields(DispatchAnswer)] == [
        "count", "swing_square", "output", "cost", "relaxed", "plain_output", "plain_cost",
    ]  # fmt: skip


def test_a_coordinator_ignores_what_it_has_not_asked() -> None:
    _, target = random_dispatch(37, 2, 3, Norm.L1)
    coordinator = DispatchCoordinator(target, SETTINGS, {})
    assert (coordinator.start(), coordinator.silent, coordinator.done) == ([], (), False)
