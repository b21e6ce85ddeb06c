"""Time: advanced by a master in lock step, repeatable to the byte; or going by itself."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from core.config import Config
from sim_plant.meter import Accuracy
from sim_plant.plant import open_plant
from sim_plant.settings import PlantConfig, PlantError, SlackVoltage, plant_config
from tests.support.paths import CONFIG
from tests.support.plant_benches import (
    GENERIC,
    METER,
    SUNSPEC,
    device,
    floats,
    listening,
    master,
    modbus,
    plant_of,
    setpoint_words,
)

CONVERTERS = [device(f"c{k}", GENERIC, port=k) for k in (1, 2, 3)]


def noisy(path: Path, seed: int = 5) -> PlantConfig:
    meters = [device(f"m{k}", METER, node=f"N{k}", unit=k, port=9) for k in (1, 2, 3)]
    return plant_of(*CONVERTERS, *meters, frames=path, seed=seed, accuracy=Accuracy())


async def some_cycles(config: PlantConfig) -> list[list[int]]:
    """What all devices say while setpoints are written to all converters at once."""
    said: list[list[int]] = []
    async with open_plant(config) as plant, master(plant.control_port) as ask, modbus(plant, "m1") as meters:
        for k in range(1, 6):
            assert await ask(advance_to=30.0 * k) == {"at": 30.0 * k}
            replies = [await meters.read_holding_registers(200, count=13, device_id=unit) for unit in (1, 2, 3)]
            said.extend(reply.registers for reply in replies)

            async def tell(name: str, k: int = k) -> None:
                async with modbus(plant, name) as client:
                    await client.write_registers(0, setpoint_words(k * 1.0, -k * 0.5), device_id=1)
                    said.append((await client.read_holding_registers(0, count=20, device_id=1)).registers)

            await asyncio.gather(*(tell(converter.name) for converter in CONVERTERS))
            said[-3:] = sorted(said[-3:])
    return said


async def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    first, second, other = (tmp_path / f"{k}.jsonl" for k in range(3))
    assert (await some_cycles(noisy(first))) == (await some_cycles(noisy(second)))
    assert first.read_bytes() == second.read_bytes()
    assert len(first.read_text().splitlines()) == 15
    assert (await some_cycles(noisy(other, seed=6))) != (await some_cycles(noisy(second)))


async def test_what_a_master_can_ask() -> None:
    config = plant_of(CONVERTERS[0], device("m", METER, node="N1", port=9))
    async with open_plant(config) as plant, master(plant.control_port) as ask:
        devices = await ask(ask="devices")
        assert devices["m"] == {"host": "127.0.0.1", "port": plant.devices[1].port, "unit": 1}  # type: ignore[union-attr]
        async with modbus(plant, "c1") as client:
            await client.write_registers(0, setpoint_words(3.0, -1.0), device_id=1)
            await ask(advance_to=60)
            assert await ask(slack_pu=1.02) == {"at": 60}
            truth = await ask(ask="truth")
            converter = truth["converters"]["c1"]
            assert (converter["p_kw"], converter["mode"]) == (pytest.approx(3.0), "remote")
            step_kva, ramped_s = 10**0.5, 10**0.5 / 0.25 - 1
            late_kvas = step_kva * ramped_s - 0.25 * ramped_s**2 / 2 + 0.25
            assert converter["energy_kwh"] == pytest.approx(3 * (60 - late_kvas / step_kva) / 3600)
            assert (truth["at"], truth["solved"], truth["nodes"]["N1"]) == (60, True, pytest.approx(1.02))
            assert truth["slack"]["p_kw"] > 3.0
            assert set(truth["lines"]) == {"N1-N2", "N2-N3", "N4-N2"}
            await ask(fault="local", device="c1", on=True)
            assert (await client.read_holding_registers(7, count=1, device_id=1)).registers == [3]
        async with modbus(plant, "m") as client:
            assert floats((await client.read_holding_registers(200, count=2, device_id=1)).registers) == [408.0]
            await ask(supply_step_pu=-0.02)
            assert (await ask(ask="truth"))["nodes"]["N1"] == pytest.approx(1.0)
            await ask(supply_step_pu=0)
            await ask(slack_pu=None, fault=None)
            await ask(fault="wrong_scale", device="m", on=True, number=2)
            assert floats((await client.read_holding_registers(200, count=2, device_id=1)).registers) == [800.0]
        counts = await ask(ask="referee")
        assert counts["devices"] == {"c1": {"frames": 1, "violations": 0}}
        assert await ask(stop=True) == {"stopping": True}
        await asyncio.wait_for(plant.stopping.wait(), 1)


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[1]",
        '{"advance_to": "soon"}',
        '{"advance_to": -1}',
        '{"advance_to": NaN}',
        '{"slack_pu": 230}',
        '{"supply_step_pu": 0.3}',
        '{"supply_step_pu": NaN}',
        '{"supply_step_pu": null}',
        '{"fault": "gremlin", "device": "c1", "on": true}',
        '{"fault": "local", "device": "c9", "on": true}',
        '{"ask": "everything"}',
    ],
)
async def test_what_it_cannot_ask(line: str) -> None:
    async with open_plant(plant_of(CONVERTERS[0])) as plant, master(plant.control_port) as ask:
        assert set(await ask.send(line)) == {"error"}
        assert await ask(advance_to=1.0) == {"at": 1.0}, "the connection stays"


async def test_time_goes_by_itself_at_a_pace() -> None:
    async with open_plant(plant_of(CONVERTERS[0], pace=300.0)) as plant, master(plant.control_port) as ask:
        assert "lock step" in (await ask(advance_to=1e6))["error"]
        async with modbus(plant, "c1") as client:
            await client.write_registers(0, setpoint_words(3.0, 0.0, lease_s=60), device_id=1)
            while (await client.read_holding_registers(7, count=1, device_id=1)).registers != [1]:
                await asyncio.sleep(0.02)
        while (converter := (await ask(ask="truth"))["converters"]["c1"])["p_kw"] > 1e-3:
            await asyncio.sleep(0.02)
        assert converter["energy_kwh"] == pytest.approx(3 * 60 / 3600, rel=1e-3), "3 kW for a lease of 60 s"


async def test_it_listens_on_this_machine_only() -> None:
    config = plant_of(*CONVERTERS, device("s", SUNSPEC, port=8), device("m", METER, node="N2", port=9))
    others = set(listening())
    async with open_plant(config) as plant:
        sockets = set(listening()) - others
        assert len(sockets) == 5 * 2 + 1, "a server and a proxy for each address, and the control socket"
        assert {address for address, _ in sockets} == {"0100007F"}
        assert plant.control_port in {port for _, port in sockets}
    assert set(listening()) == others


def test_the_supply_moves_between_its_values_and_repeats() -> None:
    slack = SlackVoltage(np.array([0.0, 100.0]), np.array([1.0, 1.02]), period_s=200.0)
    assert [slack.at(t) for t in (0.0, 50.0, 100.0, 150.0, 250.0)] == pytest.approx([1.0, 1.01, 1.02, 1.01, 1.01])
    assert SlackVoltage.constant(1.01).at(1e6) == 1.01


def test_a_plant_of_the_default_configuration(gridlab9_config: Config) -> None:
    plant = plant_config(gridlab9_config, CONFIG)
    assert plant.start.isoformat() == "2018-06-20T22:00:00+00:00"
    assert plant.nodes == {f"n{k}_converter": f"N{k}" for k in (3, 4, 5, 7, 9)}
    assert len(plant.devices) == 14
    levels = [plant.slack.at(60.0 * k + 30.0) for k in range(1440)]
    assert max(abs(v - 1) for v in levels) == pytest.approx(0.01, rel=0.05)
    later = plant_config(gridlab9_config, CONFIG, plant.start.replace(month=7, hour=23))
    assert later.slack.at(0.0) == pytest.approx(plant.slack.at(3600.0)), "the same time of another day"


def test_a_converter_without_a_prosumer(gridlab9_config: Config) -> None:
    config = gridlab9_config.model_copy(update={"devices": (CONVERTERS[0],)})
    with pytest.raises(PlantError, match="c1: at no node"):
        plant_config(config, CONFIG)
