"""pysunspec2, which shares nothing with the plant, discovers the converter, reads it and sets it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sunspec2.mdef
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP
from sunspec2.modbus.modbus import ModbusClientException

from sim_plant.plant import Plant, open_plant
from sim_plant.sunspec_models import BASE, LAYOUT, LENGTHS
from tests.support.plant_benches import SUNSPEC, device, modbus, plant_of

CONVERTER = device("n5", SUNSPEC)
TABLES = Path(sunspec2.mdef.__file__).parent / "models" / "json"
T = TypeVar("T")


def talk(plant: Plant, conversation: Callable[[Any], T]) -> Any:
    """Run the synchronous client in a thread of its own."""

    def connected() -> T:
        client = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=plant.devices[0].port)
        client.scan()
        try:
            return conversation(client)
        finally:
            client.close()

    return asyncio.to_thread(connected)


def tell(client: Any, w: int, var: int, lease_s: int = 75) -> None:
    """Reversion times first, then values, then the command, as the standard has it."""
    control = client.DERCtlAC[0]
    control.WSetRvrtTms.value = control.VarSetRvrtTms.value = lease_s
    control.write()
    control.WSet.cvalue, control.VarSet.cvalue = w, var
    control.write()
    control.WSetEna.value = control.VarSetEna.value = 1
    control.write()


def read(client: Any) -> dict[str, Any]:
    """Measurements in W, var and V, and the controls."""
    measured, control, remote = client.DERMeasureAC[0], client.DERCtlAC[0], client.DERCtl[0]
    for model in (measured, control, remote):
        model.read()
    scaled = {name: getattr(measured, name).cvalue for name in ("W", "Var", "VA", "A", "LLV", "LNV", "Hz")}
    states = {name: getattr(measured, name).value for name in ("InvSt", "St", "ConnSt", "ACType", "TmpCab", "PFL1")}
    names = ("WSetEna", "VarSetEna", "WSetMod", "VarSetMod", "WSetRvrtTms", "WSetRvrtRem", "VarSetRvrtRem", "WSetPct")
    controls = {name: getattr(control, name).value for name in names}
    setpoint = {"WSet": control.WSet.cvalue, "VarSet": control.VarSet.cvalue}
    heart = {name: getattr(remote, name).value for name in ("LocRemCtl", "DERHb", "ControllerHb")}
    return {**scaled, **states, **controls, **setpoint, **heart}


async def test_discovery() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:

        def conversation(client: Any) -> Any:
            common = client.common[0]
            return client.base_addr, [m for m in client.models if isinstance(m, int)], common.SN.value

        assert await talk(plant, conversation) == (40000, [1, 701, 704, 715], "n5")


async def test_measurements_and_what_is_not_implemented() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:
        image = await talk(plant, read)
        assert (image["W"], image["Var"], image["LLV"], image["Hz"]) == (0, 0, 400.0, 50.0)
        assert image["LNV"] == pytest.approx(400 / 3**0.5, abs=0.01)
        assert (image["ACType"], image["St"], image["ConnSt"], image["InvSt"]) == (2, 1, 1, 7)
        assert image["TmpCab"] is image["PFL1"] is image["WSetPct"] is None
        assert (image["WSetEna"], image["WSetMod"], image["VarSetMod"]) == (0, 1, 4)


async def test_a_setpoint_with_its_lease() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:
        await talk(plant, lambda client: tell(client, w=-3000, var=1500))
        await plant.advance(30.0)
        state = plant.laboratory.converters["n5"].state
        assert state.s_kva == pytest.approx(3 - 1.5j, abs=1e-4), "it injects what we do not demand"
        image = await talk(plant, read)
        assert (image["W"], image["Var"], image["VA"], image["InvSt"]) == (-3000, 1500, 3354, 3)
        assert (image["WSet"], image["VarSet"], image["WSetEna"], image["VarSetEna"]) == (-3000, 1500, 1, 1)
        assert (image["WSetRvrtTms"], image["WSetRvrtRem"], image["VarSetRvrtRem"]) == (75, 45, 45)
        await plant.advance(100.0)
        image = await talk(plant, read)
        assert (image["WSetEna"], image["VarSetEna"], image["WSet"], image["InvSt"]) == (0, 0, 0, 7)
        assert plant.laboratory.recorder.tally.violations.total() == 0


async def test_the_shorter_of_two_leases_counts_and_one_control_is_enough() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:

        def conversation(client: Any) -> None:
            control = client.DERCtlAC[0]
            control.VarSetRvrtTms.value, control.WSetRvrtTms.value = 20, 75
            control.write()
            control.VarSet.cvalue, control.WSet.cvalue = -2000, 500
            control.write()
            control.VarSetEna.value = 1
            control.write()

        await talk(plant, conversation)
        state = plant.laboratory.converters["n5"].state
        assert (state.setpoint_kva, state.lease_s) == (2j, 20.0)


async def test_without_a_lease_and_outside_the_circle_nothing_is_followed() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:
        for setpoint in ({"w": 1000, "var": 0, "lease_s": 0}, {"w": 12000, "var": 12000}):
            with pytest.raises(ModbusClientException):
                await talk(plant, lambda client, setpoint=setpoint: tell(client, **setpoint))  # type: ignore[misc]
        assert plant.laboratory.converters["n5"].state.setpoint_kva in (0j, -12 + 0j)
        assert plant.laboratory.recorder.tally.rules["circle"] == 1


async def test_disabling_and_stopping_release() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:
        state = lambda: plant.laboratory.converters["n5"].state  # noqa: E731

        def disable(client: Any) -> None:
            client.DERCtlAC[0].WSetEna.value = 0
            client.DERCtlAC[0].write()

        def stop(client: Any) -> None:
            client.DERCtl[0].OpCtl.value = 0
            client.DERCtl[0].write()

        for release in (disable, stop):
            await talk(plant, lambda client: tell(client, w=-3000, var=1500))
            assert state().mode.name == "REMOTE"
            await talk(plant, release)
            assert (state().mode.name, state().setpoint_kva) == ("SAFE", 0j)
            await plant.advance(plant.laboratory.now_s() + 60)


async def test_a_release_ends_another_clients_setpoint_too() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:
        await plant.switch("foreign_write", "n5", on=True, number=0)
        await plant.advance(1.0)
        await plant.switch("foreign_write", "n5", on=False)
        state = plant.laboratory.converters["n5"].state
        assert state.mode.name == "REMOTE"
        seen = await talk(plant, read)
        assert (seen["WSetEna"], seen["VarSetEna"]) == (1, 1)

        def release(client: Any) -> None:
            control = client.DERCtlAC[0]
            control.WSetEna.value = 0
            control.write()

        await talk(plant, release)
        assert plant.laboratory.converters["n5"].state.mode.name == "SAFE"


async def test_heartbeats_carry_clock_and_epoch() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:

        def beat(client: Any, epoch: int) -> None:
            client.DERCtl[0].ControllerHb.value = epoch << 16 | 3
            client.DERCtl[0].write()

        await talk(plant, lambda client: beat(client, 8))
        await plant.advance(10.0)
        image = await talk(plant, read)
        assert image["DERHb"] == plant.laboratory.config.start.timestamp() + 10
        assert image["ControllerHb"] == 8 << 16 | 3
        with pytest.raises(ModbusClientException):
            await talk(plant, lambda client: beat(client, 7))
        assert plant.laboratory.recorder.tally.refused.total() == 1


async def test_what_is_frozen_or_ignored() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:
        station = plant.laboratory.converters["n5"]
        await talk(plant, lambda client: tell(client, w=-3000, var=1500))
        await plant.advance(30.0)
        before = await talk(plant, read)
        for fault in ("frozen", "ignore_writes"):
            station.switch(fault, on=True)
            await talk(plant, lambda client: tell(client, w=-500, var=0))
            assert await talk(plant, read) == before
            assert station.state.setpoint_kva == 3 - 1.5j
            station.switch("ignore_writes", on=True)
            station.switch("frozen", on=False)
        station.switch("frozen", on=True)
        await plant.advance(300.0)
        assert station.state.mode.name == "SAFE"
        assert await talk(plant, read) == before


async def test_one_request_over_all_controls_is_one_frame() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant, modbus(plant, "n5") as client:
        first = next(p.address for p in LAYOUT if (p.model, p.name) == (704, "WSetEna"))
        w = [1, 1, 0xFFFF, 0x8AD0, 0, 0, 0x8000, 0x8000, 0, 0, 75, 0, 0]  # -30000 / 10 W, 75 s
        var = [1, 4, 0, 0, 15000, 0, 0, 0x8000, 0x8000, 0, 0, 75]
        assert not (await client.write_registers(first, w + var, device_id=1)).isError()
        assert plant.laboratory.converters["n5"].state.setpoint_kva == 3 - 1.5j
        assert plant.laboratory.recorder.tally.frames["n5"] == 1
        for address, words in ((first + 2, [0]), (first + 11, [0, 0]), (first + 1, [0]), (first + 4, [0, 5])):
            assert (await client.write_registers(address, words, device_id=1)).isError()


@pytest.mark.parametrize("model", [1, 701, 704, 715])
def test_every_point_stands_where_the_standard_has_it(model: int) -> None:
    table = json.loads((TABLES / f"model_{model}.json").read_text())["group"]
    mine = [(p.name, p.n_words) for p in LAYOUT if p.model == model]
    assert mine == list(points(table))
    assert LENGTHS[model] == sum(size for _, size in mine) - 2
    assert LAYOUT[0].address == BASE + 2


def points(group: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, int]]:
    for point in group["points"]:
        yield prefix + point["name"], point["size"]
    for inner in group.get("groups", ()):
        yield from points(inner, f"{inner['name']}.")
