"""A net power spread over converters: the optimum of the dispatch's problem, whatever they can reach."""

from itertools import pairwise
from math import isclose, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from mpc.coordination.dispatch.fleet import Fleet
from mpc.coordination.dispatch.solve import dispatch
from mpc.coordination.dispatch.target import Norm, SectorTarget
from realtime.plane import ZERO, Interval, Power
from realtime.spreading import Reach, dispatched, spread, total

WEIGHT = 100.0
"""Of the deviation, per kW: dearer than any preference."""
LP_KW = 1e-6
"""How exactly a linear program keeps its constraints (1e-7 each)."""

POWERS = st.builds(Power, st.floats(-20, 20), st.floats(-20, 20))
REACHES = st.builds(
    Reach,
    s_max_kva=st.floats(0, 15),
    held=st.builds(Power, st.floats(-8, 8), st.floats(-8, 8)),
    ramp_kva=st.floats(0, 10),
    reactive=st.booleans(),
    priority=st.sampled_from([0.0, 1.0, 2.5]),
)
TEAMS = st.lists(REACHES, min_size=1, max_size=4).map(lambda some: {f"c{k}": one for k, one in enumerate(some)})


def within_what_it_can(part: Power, one: Reach) -> bool:
    """In the circle of its capability, and in that of its ramp if what it holds is something that it can do at all."""
    able = one.held.s_kva <= one.s_max_kva and (one.reactive or one.held.q_kvar == 0)
    return part.s_kva <= one.s_max_kva + 1e-6 and (not able or part.distance_kva(one.held) <= one.ramp_kva + 1e-6)


def least_cost(target: float, ranges: dict[str, Interval], reaches: dict[str, Reach]) -> float:
    """The optimum of the documented problem for t ≥ 0, by linear programming."""
    n = len(ranges)
    bounds = [(one.clip(0.0), one.upper_kw) for one in ranges.values()]
    costs = [reaches[name].priority for name in ranges] + [WEIGHT, WEIGHT]
    balance = np.array([[1.0] * n + [-1.0, 1.0]])
    solved = linprog(costs, A_eq=balance, b_eq=[target], bounds=[*bounds, (0, None), (0, None)])
    assert solved.status == 0
    return float(solved.fun)


@given(st.floats(0, 30), TEAMS)
def test_no_other_division_costs_less(target: float, reaches: dict[str, Reach]) -> None:
    ranges = {name: one.active() for name, one in reaches.items()}
    parts = dispatched(target, ranges, reaches)
    cost = WEIGHT * abs(sum(parts.values()) - target) + sum(reaches[c].priority * x for c, x in parts.items())
    assert cost == pytest.approx(least_cost(target, ranges, reaches), abs=WEIGHT * LP_KW)
    assert all(one.lower_kw - 1e-9 <= parts[name] <= one.upper_kw + 1e-9 for name, one in ranges.items())


@given(POWERS, TEAMS)
def test_everybody_stays_within_its_reach(target: Power, reaches: dict[str, Reach]) -> None:
    parts = spread(target, reaches)
    assert list(parts) == list(reaches)
    for name, one in reaches.items():
        assert within_what_it_can(parts[name], one), (parts[name], one)
        assert one.reactive or parts[name].q_kvar == 0
    assert spread(target, reaches) == parts, "a pure function"


@pytest.mark.parametrize(
    ("target", "priority"), [(12.0, (0, 1)), (12.0, (1, 0)), (3.0, (2, 0)), (20.0, (0, 1)), (0.0, (0, 1))]
)
def test_the_dispatch_of_paper_d_finds_the_same(target: float, priority: tuple[float, float]) -> None:
    rated = {"big": 10.0, "small": 5.0}
    reaches = {name: Reach(kva, priority=cost) for (name, kva), cost in zip(rated.items(), priority, strict=True)}
    parts = dispatched(target, {name: one.active() for name, one in reaches.items()}, reaches)
    capacity, costs = np.array(list(rated.values())), np.array(priority, dtype=float)[:, None]
    fleet = Fleet(tuple(rated), capacity, np.ones((2, 1)), costs, np.zeros(2))
    found = dispatch(fleet, SectorTarget(np.array([target]), np.array([WEIGHT]), Norm.L1))
    assert list(parts.values()) == pytest.approx(found.inputs_kw, abs=1e-3 * max(target, 1.0))


@given(st.lists(st.floats(0.5, 15), min_size=2, max_size=5), POWERS)
def test_equals_are_loaded_equally(rated_kva: list[float], direction: Power) -> None:
    whole = sum(rated_kva)
    target = ZERO.toward(direction, min(0.9 * whole / max(direction.s_kva, 1e-9), 1.0))
    parts = spread(target, {f"c{k}": Reach(kva) for k, kva in enumerate(rated_kva)})
    for part, kva in zip(parts.values(), rated_kva, strict=True):
        assert (part.p_kw, part.q_kvar) == pytest.approx(
            (target.p_kw * kva / whole, target.q_kvar * kva / whole), abs=1e-6
        )


def test_whoever_is_preferred_is_filled_first() -> None:
    reaches = {"dear": Reach(10.0, priority=1.0), "liked": Reach(5.0, priority=-1.0)}
    assert spread(Power(-4.0, 0.0), reaches) == {"dear": ZERO, "liked": Power(-4.0, 0.0)}
    assert spread(Power(-8.0, 0.0), reaches) == {"dear": Power(-3.0, 0.0), "liked": Power(-5.0, 0.0)}


def test_reactive_power_moves_active_power_to_whoever_has_none() -> None:
    """P first would leave Q short: the one with Q gives up its share of P to the one that has P alone."""
    reaches = {"both": Reach(5.0), "active": Reach(5.0, reactive=False)}
    parts = spread(Power(6.0, 4.5), reaches)
    carried = total(parts)
    assert (carried.p_kw, carried.q_kvar) == pytest.approx((6.0, 4.5))
    assert parts["active"].q_kvar == 0
    assert parts["both"].s_kva <= 5.0 + 1e-9


@given(POWERS, TEAMS)
def test_what_the_circles_can_do_without_ramps_is_done(target: Power, reaches: dict[str, Reach]) -> None:
    """All with Q, without ramps: the sum of their circles is a circle, whatever their priorities."""
    free = {name: Reach(one.s_max_kva, priority=one.priority) for name, one in reaches.items()}
    whole_kva = sum(one.s_max_kva for one in free.values())
    carried = total(spread(target, free))
    p_kw = Interval(-whole_kva, whole_kva).clip(target.p_kw)
    q_max = sqrt(max(whole_kva**2 - p_kw**2, 0.0))
    assert carried.p_kw == pytest.approx(p_kw, abs=1e-6)
    assert carried.q_kvar == pytest.approx(Interval(-q_max, q_max).clip(target.q_kvar), abs=2e-3)


def test_the_ramp_of_one_is_made_up_for_by_the_other() -> None:
    """As when one returns: the other goes down only as this one comes up."""
    slow, quick = Reach(10.0, ZERO, ramp_kva=1.5 * sqrt(2)), Reach(5.0, Power(5.0, 0.0), ramp_kva=7.5)
    parts = spread(Power(5.0, 0.0), {"slow": slow, "quick": quick})
    assert (parts["slow"].p_kw, parts["quick"].p_kw) == pytest.approx((1.5, 3.5))


def test_one_that_cannot_move_is_made_up_for() -> None:
    silent = Reach(10.0, Power(-2.0, 0.3), ramp_kva=0.0)
    parts = spread(Power(-3.0, 0.0), {"silent": silent, "other": Reach(5.0)})
    assert (parts["silent"].p_kw, parts["other"].p_kw) == pytest.approx((-2.0, -1.0))
    assert parts["silent"].q_kvar == pytest.approx(0.3)


def test_parts_follow_the_target_without_jumps() -> None:
    """While it turns once around at full capability: a degree moves nobody by more than two steps of the circle."""
    reaches = {"a": Reach(10.0), "b": Reach(5.0, priority=1.0), "c": Reach(3.0, reactive=False)}
    turns = [Power(14.0 * np.cos(angle), 14.0 * np.sin(angle)) for angle in np.radians(np.arange(0, 361))]
    found = [spread(target, reaches) for target in turns]
    step_kva = turns[0].distance_kva(turns[1])
    worst = {name: max(one[name].distance_kva(other[name]) for one, other in pairwise(found)) for name in reaches}
    assert isclose(step_kva, 0.244, abs_tol=1e-3)
    assert max(worst.values()) < 8 * step_kva, worst
