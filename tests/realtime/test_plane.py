"""Moves in the PQ plane against what defines them."""

from math import inf, isclose

import pytest
from hypothesis import example, given

from realtime.plane import ANY, ZERO, Interval, Power, project, truncated
from tests.realtime.strategies import floats, intervals, powers

RADIUS = 15.0


def inside(point: Power, strip: Interval, tolerance: float = 1e-9) -> bool:
    return point.s_kva <= RADIUS + tolerance and abs(strip.clip(point.p_kw) - point.p_kw) <= tolerance


@given(point=powers(40), other=powers(15), strip=intervals(14))
def test_projection_is_the_nearest_point(point: Power, other: Power, strip: Interval) -> None:
    """Of a convex set y is the projection of x exactly if ⟨x − y, z − y⟩ ≤ 0 for all z of the set."""
    y, z = project(point, RADIUS, strip), project(other, RADIUS, strip)
    assert inside(y, strip)
    product = (point.p_kw - y.p_kw) * (z.p_kw - y.p_kw) + (point.q_kvar - y.q_kvar) * (z.q_kvar - y.q_kvar)
    assert product <= 1e-7


@given(point=powers(40), strip=intervals(14))
def test_projection_is_idempotent(point: Power, strip: Interval) -> None:
    once = project(point, RADIUS, strip)
    assert project(once, RADIUS, strip).distance_kva(once) < 1e-9


@pytest.mark.parametrize(
    ("point", "strip", "expected"),
    [
        (Power(3, 4), ANY, Power(3, 4)),
        (Power(30, 40), ANY, Power(9, 12)),
        (Power(30, 40), Interval(upper_kw=0.0), Power(0, 15)),
        (Power(0, -40), Interval(lower_kw=9.0), Power(9, -12)),
        (Power(5, 5), Interval(20.0, 30.0), Power(15, 0)),
        (Power(5, 5), Interval(-30.0, -20.0), Power(-15, 0)),
    ],
    ids=["inside", "radial", "cut", "corner", "strip beyond the disc", "strip before the disc"],
)
def test_projections_by_hand(point: Power, strip: Interval, expected: Power) -> None:
    assert project(point, RADIUS, strip).distance_kva(expected) < 1e-12


@given(point=powers(20))
@example(Power(0.3, -0.3))
@example(Power(-0.0004, 0.0))
def test_truncation_never_grows_and_is_idempotent(point: Power) -> None:
    cut = truncated(point, 1e-3)
    assert abs(cut.p_kw) <= abs(point.p_kw) + 1e-8
    assert abs(cut.q_kvar) <= abs(point.q_kvar) + 1e-8
    assert cut.distance_kva(point) < 1.4143e-3
    assert truncated(cut, 1e-3) == cut
    assert isclose(cut.p_kw * 1000, round(cut.p_kw * 1000), abs_tol=1e-9)


@given(strip=intervals(10), point=floats(-10, 10))
def test_truncation_stays_within_an_interval_on_the_grid(strip: Interval, point: float) -> None:
    grid = strip.on_grid(0.1)
    cut = truncated(Power(grid.clip(point), 0.0), 0.1).p_kw
    assert grid.lower_kw - 1e-12 <= cut <= grid.upper_kw + 1e-12
    if strip.upper_kw - strip.lower_kw >= 0.1:
        assert strip.lower_kw - 1e-6 <= cut <= strip.upper_kw + 1e-6
    else:
        assert abs(strip.clip(cut) - cut) <= 0.05 + 1e-9


def test_intervals_without_ends() -> None:
    assert ANY.on_grid(0.1) == ANY
    assert Interval(0.05, inf).on_grid(0.1) == Interval(0.1, inf)
    assert ANY.within(3.0) == Interval(-3.0, 3.0)


def test_clipping_lets_nan_through() -> None:
    """Why finiteness is checked before anything is compared."""
    nan = float("nan")
    assert max(-15, min(15, nan)) == 15
    assert not Power(nan, 0.0).finite
    assert not Power(0.0, -inf).finite
    assert ZERO.finite
