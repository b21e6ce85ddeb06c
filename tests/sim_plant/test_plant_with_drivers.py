"""The drivers and the plant understand each other, though each has its own idea of SunSpec and of the physics."""

from controller.process.clocks import WallClock
from drivers.factory import DriverSettings, connect
from sim_plant.plant import open_plant
from tests.support.paths import CONFIGS
from tests.support.plant_benches import GENERIC, METER, SUNSPEC, device, obey, opcua_device, plant_of


async def test_setpoints_arrive_and_are_released() -> None:
    converters = [device("a", GENERIC, port=1), device("b", SUNSPEC, port=2), opcua_device("c", "c")]
    config = plant_of(*converters, device("m", METER, node="N3", port=3))
    settings = DriverSettings(CONFIGS, config.network.voltage_v, WallClock())
    async with open_plant(config) as plant, connect(plant.devices, settings, writer_epoch=3) as devices:
        await obey(plant, devices)
