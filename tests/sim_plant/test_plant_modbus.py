"""A plain Modbus client reads and writes by the documented addresses; the bytes are worked out here."""

import asyncio

import pytest

from drivers.registers import RegisterMap, load_registers
from sim_plant.banks import MapBank, MapError, Rejection
from sim_plant.laboratory import Laboratory
from sim_plant.modbus_server import PortError, ServedUnit
from sim_plant.plant import Plant, open_plant
from sim_plant.referee import FrameLog
from sim_plant.settings import PlantError
from tests.support.paths import CONFIGS
from tests.support.plant_benches import GENERIC, METER, START, device, floats, modbus, plant_of, setpoint_words

CONVERTER = device("c", GENERIC)
VALUE, ADDRESS, STATE, FUNCTION, NO_ANSWER = 3, 2, 4, 1, 11


async def read(plant: Plant, name: str, address: int, count: int, unit: int = 1) -> list[int]:
    async with modbus(plant, name) as client:
        reply = await client.read_holding_registers(address, count=count, device_id=unit)
        assert not reply.isError(), reply
        return list(reply.registers)


async def write(plant: Plant, address: int, words: list[int]) -> int:
    """The exception code, or 0."""
    async with modbus(plant, "c") as client:
        reply = await client.write_registers(address, words, device_id=1)
        return int(reply.exception_code) if reply.isError() else 0


async def test_a_setpoint_by_its_bytes() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:
        assert await write(plant, 0, [0x4040, 0x0000, 0xBFC0, 0x0000, 75, 9, 1]) == 0
        assert await read(plant, "c", 0, 8) == [0x4040, 0x0000, 0xBFC0, 0x0000, 75, 9, 1, 2]
        await plant.advance(60.0)
        p_kw, q_kvar, v_v, s_max_kva = floats(await read(plant, "c", 8, 8))
        assert (p_kw, q_kvar, s_max_kva) == pytest.approx((3.0, -1.5, 15.0), abs=1e-3)
        assert 395 < v_v < 400
        ms = int.from_bytes(b"".join(w.to_bytes(2, "big") for w in await read(plant, "c", 16, 4)), "big")
        assert ms == (START.timestamp() + 60) * 1000
        assert await read(plant, "c", 4, 1) == [15], "what is left of the lease"
        await plant.advance(75.0)
        assert await read(plant, "c", 0, 8) == [0, 0, 0, 0, 0, 9, 0, 1], "lapsed: safe state, epoch kept"


async def test_a_meter_by_its_bytes() -> None:
    config = plant_of(CONVERTER, device("m", METER, node="N3", unit=7, port=2))
    async with open_plant(config) as plant:
        await write(plant, 0, setpoint_words(3.0, -1.5))
        await plant.advance(60.0)
        words = await read(plant, "m", 200, 13, unit=7)
        v_v, i_a, p_w, q_var = floats(words[:8])
        assert (p_w, q_var) == pytest.approx((3000.0, -1500.0), abs=0.01)
        assert i_a == pytest.approx((3000**2 + 1500**2) ** 0.5 / (3**0.5 * v_v), rel=1e-4)
        assert words[8] == 0
        assert words[9:] == list(divmod_words(int(START.timestamp() + 60) * 1000))


def divmod_words(value: int) -> tuple[int, ...]:
    return tuple(value >> shift & 0xFFFF for shift in (48, 32, 16, 0))


@pytest.mark.parametrize(
    ("address", "words", "code"),
    [
        (0, setpoint_words(14.0, 9.0), VALUE),
        (0, setpoint_words(float("nan"), 0.0), VALUE),
        (0, setpoint_words(1.0, 0.0, lease_s=0), VALUE),
        (0, setpoint_words(1.0, 0.0, lease_s=601), VALUE),
        (0, setpoint_words(1.0, 0.0, enable=2), VALUE),
        (0, [0x4040], ADDRESS),
        (1, [0, 0, 0], ADDRESS),
        (6, [1, 2], ADDRESS),
        (8, [0, 0], ADDRESS),
        (0, [*setpoint_words(1.0, 0.0), 2], ADDRESS),
        (20, [1], ADDRESS),
    ],
)
async def test_what_is_refused_changes_nothing(address: int, words: list[int], code: int) -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:
        before = await read(plant, "c", 0, 20)
        assert await write(plant, address, words) == code
        assert await read(plant, "c", 0, 20) == before


async def test_values_written_one_by_one_act_together_with_enable() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:
        for address, words in ((4, [75]), (0, [0x4000, 0]), (2, [0x3F80, 0])):
            assert await write(plant, address, words) == 0
        assert await read(plant, "c", 0, 8) == [0, 0, 0, 0, 0, 0, 0, 1]
        assert await write(plant, 6, [1]) == 0
        assert await read(plant, "c", 0, 8) == [0x4000, 0, 0x3F80, 0, 75, 0, 1, 2]
        assert plant.laboratory.recorder.tally.frames["c"] == 1


async def test_an_older_writer_and_a_foreign_one_are_refused_but_for_a_release() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:
        assert await write(plant, 0, setpoint_words(1.0, 0.0, epoch=5)) == 0
        assert await write(plant, 0, setpoint_words(1.0, 0.0, epoch=4)) == VALUE
        assert await write(plant, 6, [1]) == VALUE, "who tells no epoch belongs to none"
        assert await write(plant, 6, [0]) == 0
        assert await read(plant, "c", 5, 3) == [5, 0, 1]
        assert await write(plant, 0, setpoint_words(0.0, 0.0, epoch=4)) == VALUE, "it is still replaced"
        assert await write(plant, 0, setpoint_words(0.0, 0.0, epoch=6)) == 0
        assert plant.laboratory.recorder.tally.rules == {"writer": 3}


async def test_local_is_a_matter_of_state() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:
        plant.laboratory.converters["c"].switch("local", on=True)
        assert await write(plant, 0, setpoint_words(1.0, 0.0)) == STATE
        assert await read(plant, "c", 7, 1) == [3]


async def test_other_functions_gaps_and_units() -> None:
    config = plant_of(CONVERTER, device("m", METER, node="N3", unit=7, port=2))
    async with open_plant(config) as plant, modbus(plant, "c") as client:
        for reply in (await client.read_coils(0, device_id=1), await client.read_input_registers(0, device_id=1)):
            assert reply.exception_code == FUNCTION
        assert (await client.read_holding_registers(18, count=4, device_id=1)).exception_code == ADDRESS
        for address in (0, 8, 65535):
            assert (await client.read_holding_registers(address, count=1, device_id=2)).exception_code == NO_ANSWER
        assert (await client.write_register(4, 75, device_id=2)).exception_code == NO_ANSWER
        assert not (await client.write_register(4, 75, device_id=1)).isError()


async def test_devices_share_a_port_as_units() -> None:
    meters = [device(f"m{k}", METER, node=f"N{k}", unit=k) for k in (2, 3)]
    async with open_plant(plant_of(*meters)) as plant:
        assert plant.devices[0].port == plant.devices[1].port  # type: ignore[union-attr]
        for k in (2, 3):
            assert floats(await read(plant, f"m{k}", 200, 2, unit=k)) == pytest.approx([400.0])
    twins = [device(f"m{k}", METER, node=f"N{k}", unit=1) for k in (2, 3)]
    with pytest.raises(PlantError, match="m3: asked unit 1 of port 1"):
        async with open_plant(plant_of(*twins)):
            raise AssertionError


async def test_wrong_bytes_on_the_wire() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:
        station = plant.laboratory.converters["c"]
        v_v = floats(await read(plant, "c", 12, 2))
        station.switch("byte_swap", on=True)
        swapped = await read(plant, "c", 12, 2)
        assert floats([(w >> 8) | (w & 0xFF) << 8 for w in swapped]) == v_v
        station.switch("byte_swap", on=False)
        for fault in ("sentinel", "nan"):
            station.switch(fault, on=True)
            assert await read(plant, "c", 8, 4) == [0x7FC0, 0, 0x7FC0, 0]
            station.switch(fault, on=False)


async def test_ports_and_hosts() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:
        taken = plant.devices[0]
        for config, error in (
            (plant_of(taken, free_ports=False), PortError),
            (plant_of(device("c", GENERIC, host="192.0.2.1"), free_ports=False), PlantError),
            (plant_of(device("c", GENERIC, host="example.org"), free_ports=False), PlantError),
            (plant_of(CONVERTER, control_port=plant.control_port), PortError),
        ):
            with pytest.raises(error, match="allowed"):
                async with open_plant(config):
                    raise AssertionError


def test_a_request_is_answered_without_ever_waiting() -> None:
    """pymodbus would send a late answer to whoever asks next."""
    lab = Laboratory(plant_of(CONVERTER), FrameLog(START))
    bank = MapBank(load_registers(CONFIGS / "registers" / "converter_generic.yaml"), lab.converters["c"])
    registers = [0] * 20
    for written in (None, setpoint_words(1.0, 0.0)):
        with pytest.raises(StopIteration):
            ServedUnit(bank).answer(3 if written is None else 16, 0, 0, 7, registers, written).send(None)
    assert bank.read(100, 2) is Rejection.ADDRESS


def test_a_map_that_names_what_no_device_has() -> None:
    lab = Laboratory(plant_of(CONVERTER, device("m", METER, node="N2")), FrameLog(START))
    fields = {"schema_version": 1, "name": "odd"}
    frequency = RegisterMap.model_validate({**fields, "registers": [{"name": "f_hz", "address": 0, "type": "int16"}]})
    with pytest.raises(MapError, match="c: register f_hz, allowed"):
        MapBank(frequency, lab.converters["c"])
    power = {"name": "p_kw", "address": 0, "type": "float32", "access": "rw"}
    told = RegisterMap.model_validate({**fields, "registers": [power]})
    with pytest.raises(MapError, match="m: rw register p_kw, allowed none"):
        MapBank(told, lab.meters["m"])


async def test_clients_that_stay_connected_do_not_keep_the_plant() -> None:
    async with open_plant(plant_of(CONVERTER)) as plant:
        port = plant.devices[0].port  # type: ignore[union-attr]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        control_reader, control = await asyncio.open_connection("127.0.0.1", plant.control_port)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    assert await asyncio.wait_for(control_reader.read(), 5) == b""
    for each in (writer, control):
        each.close()
        await each.wait_closed()
