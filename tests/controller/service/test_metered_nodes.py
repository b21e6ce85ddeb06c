"""Which voltage a converter's slope goes by: the meter's at its node, else its own, and none that is old or bad."""

from datetime import UTC, datetime

import pytest

from controller.service.cycle import Cycle
from controller.service.describe import Places
from controller.service.metered_nodes import NodeVoltages
from controller.service.meters import BelievedImage
from controller.service.observation import CycleView
from controller.service.watch import Image
from core.config import Config, RealtimeConfig
from core.devices import Measurement, Quality, Snapshot
from realtime.cycle import CycleDecision
from realtime.fallback import Rung, Source
from realtime.node import NodeResult

NOON, NOW_S = datetime(2018, 6, 21, 10, tzinfo=UTC), 1000.0


def image(**readings: tuple[float | None, float, Quality]) -> Image:
    """Voltage (p.u.), age (s) and quality of each device."""
    measurements = {
        name: Measurement(name, 1.0, 0.0, v_pu, None, None, NOW_S - age_s, quality)
        for name, (v_pu, age_s, quality) in readings.items()
    }
    return Image(Snapshot(NOON, NOW_S, measurements, {}, {}), {}, {}, {})


def without_meter(config: Config, name: str) -> Config:
    return config.model_copy(update={"devices": tuple(d for d in config.devices if d.name != name)})


GOOD, STALE = Quality.GOOD, Quality.STALE


@pytest.mark.parametrize(
    ("meter", "expected"),
    [
        ((1.04, 5.0, GOOD), 1.04),
        ((1.04, 12.5, GOOD), None),
        ((1.04, 5.0, STALE), None),
        ((None, 5.0, GOOD), None),
        (None, None),
    ],
    ids=["good", "old", "stale", "unknown", "silent"],
)
def test_the_meter_at_the_node_counts_and_is_not_replaced(
    gridlab9_config: Config, meter: tuple[float | None, float, Quality] | None, expected: float | None
) -> None:
    readings = {"n3_converter": (1.02, 1.0, GOOD)} | ({"n3_meter": meter} if meter else {})
    assert NodeVoltages(gridlab9_config).seen(image(**readings)).get("n3_converter") == expected


def test_where_there_is_no_meter_the_converter_itself_counts(gridlab9_config: Config) -> None:
    voltages = NodeVoltages(without_meter(gridlab9_config, "n3_meter"))
    assert voltages.seen(image(n3_converter=(1.02, 1.0, GOOD), n4_meter=(1.03, 1.0, GOOD))) == {
        "n3_converter": 1.02,
        "n4_converter": 1.03,
    }


def test_nobody_looks_if_slopes_are_off(gridlab9_config: Config) -> None:
    off = gridlab9_config.model_copy(update={"realtime": RealtimeConfig(voltage_slope="off")})
    assert NodeVoltages(off).seen(image(n3_meter=(1.04, 1.0, GOOD))) == {}


def test_the_margin_learns_from_voltages_without_corrections(gridlab9_config: Config) -> None:
    """Else it would shrink to what the slopes leave, and plans would rely on them."""
    nodes = {
        "N3": NodeResult(None, Rung.USE, Source.INTRADAY, (), slope_pu=0.01),
        "N4": NodeResult(None, Rung.USE, Source.INTRADAY, ()),
    }
    read = image(n1_meter=(1.0, 1.0, GOOD), n3_meter=(1.04, 1.0, GOOD), n4_meter=(1.03, 1.0, GOOD))
    cycle = Cycle(NOON, BelievedImage(read), {}, CycleDecision(nodes, {}), {}, {}, {}, {}, {})
    view = CycleView.of(cycle, Places.of(gridlab9_config, gridlab9_config.grid.network()))
    assert view.v_pu["N3"] == pytest.approx(1.05)
    assert (view.v_pu["N4"], view.v_pu["N1"], view.v_pu["N9"]) == (1.03, 1.0, None)
