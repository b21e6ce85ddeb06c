"""What a meter tells of houses that nobody controls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.houses import attributed
from realtime.plane import Power
from tests.realtime.strategies import powers


def test_a_house_alone_at_its_node_draws_what_the_meter_says() -> None:
    (house,) = attributed(Power(1.5, 0.25), (), {"H": Power(1.0, 0.0)}).values()
    assert (house.power, house.measured) == (Power(1.5, 0.25), True)


def test_converters_at_the_node_are_not_the_house() -> None:
    (house,) = attributed(Power(1.5, 0.25), (Power(-2.0, 0.0), Power(1.0, 0.5)), {"H": Power(9.0, 9.0)}).values()
    assert (house.power.p_kw, house.power.q_kvar) == pytest.approx((2.5, -0.25))


@pytest.mark.parametrize(("meter", "converter"), [(None, Power(1.0, 0.0)), (Power(1.0, 0.0), None), (None, None)])
def test_without_a_reading_it_is_as_forecast(meter: Power | None, converter: Power | None) -> None:
    forecast = {"H": Power(1.0, 0.2), "K": Power(-1.0, 0.0)}
    found = attributed(meter, (Power(0.5, 0.0), converter), forecast)
    assert {name: house.power for name, house in found.items()} == forecast
    assert not any(house.measured for house in found.values())


@given(powers(20), st.lists(powers(15), max_size=3), st.lists(powers(10), min_size=1, max_size=4))
def test_all_together_draw_what_the_meter_says(meter: Power, converters: list[Power], forecasts: list[Power]) -> None:
    forecast = {f"H{k}": power for k, power in enumerate(forecasts)}
    found = attributed(meter, converters, forecast)
    for part in ("p_kw", "q_kvar"):
        drawn = sum(getattr(power, part) for power in converters)
        assert drawn + sum(getattr(house.power, part) for house in found.values()) == pytest.approx(
            getattr(meter, part), abs=1e-9
        )
        off = {name: getattr(found[name].power, part) - getattr(power, part) for name, power in forecast.items()}
        assert max(off.values()) - min(off.values()) == pytest.approx(0.0, abs=1e-9), "nobody is singled out"
