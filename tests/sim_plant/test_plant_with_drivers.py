"""The drivers and the plant understand each other, though each has its own idea of SunSpec and of the physics."""

import time
from datetime import UTC, datetime

import pytest

from core.devices import Outcome, Quality, Setpoint
from drivers.factory import Site, connect
from drivers.status import OperatingState
from sim_plant.plant import open_plant
from tests.sim_plant.benches import CONFIGS, GENERIC, METER, SUNSPEC, device, opcua_device, plant_of, run


class Wall:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()


def test_setpoints_arrive_and_are_released() -> None:
    async def test() -> None:
        converters = [device("a", GENERIC, port=1), device("b", SUNSPEC, port=2), opcua_device("c", "c")]
        config = plant_of(*converters, device("m", METER, node="N3", port=3))
        site = Site(CONFIGS, config.network.voltage_v, Wall())
        async with open_plant(config) as plant, connect(plant.devices, site, writer_epoch=3) as devices:
            for k in range(1, 4):
                told = [await c.write(Setpoint(1.5 * k, -k, lease_s=75)) for c in devices.converters.values()]
                assert told == [Outcome.VERIFIED] * 3
                await plant.advance(30.0 * k)
            for name, converter in devices.converters.items():
                reading = await converter.read()
                assert reading.quality is Quality.GOOD, name
                assert (reading.p_kw, reading.q_kvar) == pytest.approx((4.5, -3.0), abs=2e-3)
                assert converter.status is not None
                assert (converter.status.state, converter.status.writer_epoch) == (OperatingState.REMOTE, 3)
            meter = await devices.meters["m"].read()
            assert (meter.p_kw, meter.q_kvar) == pytest.approx((13.5, -9.0), abs=2e-3)
            assert [await c.release() for c in devices.converters.values()] == [Outcome.VERIFIED] * 3
            assert {c.state.mode.name for c in plant.laboratory.converters.values()} == {"SAFE"}
            assert plant.laboratory.recorder.tally.violations.total() == 0

    run(test())
