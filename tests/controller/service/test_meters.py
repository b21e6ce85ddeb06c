"""Voltages in doubt count nowhere: a plant whose meters lie, the loop over it, and a margin that stays bounded."""

from pathlib import Path

import numpy as np
import pytest

from controller.accounts.grid_check import GridCheck
from controller.service.describe import Places
from controller.service.margins import LARGEST_SHARE, margin_pu
from controller.service.observation import CycleView
from core.config import Config
from mpc.margin import Margin
from realtime.meter_doubt import MeterDoubtKind
from tests.support.service_bench import bench, midsummer, modbus_only, rungs, selfish_plans

PLACES = Places.of(modbus_only(), modbus_only().grid.network())


async def test_a_lying_meter_is_named_and_not_used_and_no_converter_is_released(tmp_path: Path) -> None:
    async with bench(tmp_path, midsummer(), selfish_plans()) as lab:
        for _ in range(4):
            await lab.cycle()
        lab.plant.laboratory.meters["n4_meter"].switch("voltage_scale", on=True, number=1.03)
        suspicious, named = await lab.cycle(), await lab.cycle()
    assert suspicious.believed.doubts == {}
    assert {name: doubt.kind for name, doubt in named.believed.doubts.items()} == {"n4_meter": MeterDoubtKind.OFF}
    for cycle in (suspicious, named):
        readings = cycle.image.snapshot.measurements
        assert readings["n4_meter"].v_pu is None
        assert readings["n4_meter"].p_kw is not None
        assert readings["n3_meter"].v_pu is not None
        assert CycleView.of(cycle, PLACES).v_pu["N4"] is None
        check = GridCheck(modbus_only()).after(None, readings)
        assert check is not None
        assert check.worst_pu < 0.003
    assert rungs(named) == ["use"] * 3
    assert named.doubts == {}


async def test_a_lying_meter_of_the_supply_is_replaced_by_what_the_others_say(tmp_path: Path) -> None:
    async with bench(tmp_path, midsummer(), selfish_plans()) as lab:
        for _ in range(4):
            honest = await lab.cycle()
        lab.plant.laboratory.meters["n1_meter"].switch("voltage_scale", on=True, number=1.1)
        await lab.cycle()
        named = await lab.cycle()
    assert set(named.believed.doubts) == {"n1_meter"}
    before, after = (CycleView.of(cycle, PLACES).v_pu["N1"] for cycle in (honest, named))
    assert after == pytest.approx(before, abs=0.005)


async def test_exchanged_meters_are_doubted_and_not_the_converters_that_they_contradict(tmp_path: Path) -> None:
    async with bench(tmp_path, midsummer(), selfish_plans()) as lab:
        await lab.cycle(12 * 3600.0)
        for _ in range(4):
            await lab.cycle()
        meters, nodes = lab.plant.laboratory.meters, modbus_only().grid.network().nodes
        meters["n3_meter"].switch("swapped", on=True, number=nodes.index("N2") + 1)
        meters["n2_meter"].switch("swapped", on=True, number=nodes.index("N3") + 1)
        cycles = [await lab.cycle() for _ in range(12)]
    assert set(cycles[-1].believed.doubts) == {"n2_meter", "n3_meter"}
    assert {doubt.kind for doubt in cycles[-1].believed.doubts.values()} == {MeterDoubtKind.EXCHANGED}
    assert cycles[-1].image.snapshot.measurements["n3_meter"].p_kw is None
    assert all(cycle.doubts == {} for cycle in cycles)


def test_no_margin_takes_more_than_a_quarter_of_the_band_on_each_side(gridlab9_config: Config) -> None:
    limits = gridlab9_config.limits
    learned = Margin(np.full((36, 8), 0.3), np.empty(0))
    band_pu = limits.v_max_pu - limits.v_min_pu
    assert np.max(margin_pu(limits, learned)) == pytest.approx(LARGEST_SHARE * band_pu)
    assert np.max(margin_pu(limits, Margin.unlearned(8))) == pytest.approx(0.003)
