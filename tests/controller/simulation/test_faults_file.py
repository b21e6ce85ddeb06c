"""The file of faults for a simulated run: what it may say, what it is told, and that the plant knows every name."""

from datetime import timedelta
from pathlib import Path

import pytest

from controller.simulation.faults import NUMBERS, SUPPLY_STEP, FaultEvent, fault_requests, load_faults, possible_faults
from core.config import Config
from core.errors import InputError
from sim_plant import faults as plant_faults
from sim_plant.link_faults import NUMBERS as LINK_NUMBERS
from sim_plant.link_faults import LinkFault

RIGHT = {"at": '"12:30:00"', "for_s": "120", "device": "n4_converter", "fault": "frozen"}


def loaded(folder: Path, config: Config, **entries: str) -> tuple[FaultEvent, ...]:
    path = folder / "faults.yaml"
    path.write_text("- {" + ", ".join(f"{key}: {value}" for key, value in (RIGHT | entries).items()) + "}\n")
    return load_faults(path, config)


@pytest.mark.parametrize(
    "entries",
    [
        {"fault": "black_hole"},
        {"fault": "slow", "number": "1.5"},
        {"fault": "clock_jumps", "number": "-3600"},
        {"fault": "foreign_write", "number": "7"},
        {"fault": "late", "device": "n7_converter"},
        {"fault": "fewer", "device": "n3_meter"},
        {"fault": "clock_stands", "device": "n3_meter"},
    ],
)
def test_what_it_may_say(tmp_path: Path, gridlab9_config: Config, entries: dict[str, str]) -> None:
    (event,) = loaded(tmp_path, gridlab9_config, **entries)
    assert event.at.isoformat() == "2018-06-21T12:30:00+02:00"
    assert (event.for_s, event.fault) == (120.0, entries["fault"])
    assert event.number == (float(entries["number"]) if "number" in entries else None)


def test_a_step_of_the_supply_has_a_number_and_no_device(tmp_path: Path, gridlab9_config: Config) -> None:
    path = tmp_path / "faults.yaml"

    def step(more: str) -> tuple[FaultEvent, ...]:
        path.write_text(f'- {{at: "12:00:00", for_s: 60, fault: supply_step{more}}}\n')
        return load_faults(path, gridlab9_config)

    events = step(", number: -0.03")
    told = {t_s: list(fault_requests(events, events[0].at, t_s, 30.0)) for t_s in (0, 30, 60)}
    assert told == {0: [{"supply_step_pu": -0.03}], 30: [], 60: [{"supply_step_pu": 0.0}]}
    for more, line in (
        ("", "[0]: got a section; allowed: a section {at, for_s, device, fault, number}"),
        (", number: 0.3", "[0].number: got 0.3; allowed: a number of p.u. from −0.2 to 0.2"),
        (", number: .nan", "[0].number: got NaN; allowed: a number of p.u."),
        (", number: 0.1, device: n3_meter", '[0].device: got "n3_meter"; allowed: none for supply_step'),
    ):
        with pytest.raises(InputError) as caught:
            step(more)
        assert str(caught.value.faults[0]).removeprefix(f"{path}: ").startswith(line)


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ({"at": "12"}, "[0].at: got 12; allowed: a time of day HH:MM:SS in quotes"),
        ({"for_s": "0"}, "[0].for_s: got 0; allowed: a number > 0"),
        ({"for_s": "true"}, "[0].for_s: got true; allowed: a number > 0"),
        ({"device": "[n4]"}, "[0].device: got a list; allowed: one of n3_converter"),
        ({"fault": "blackhole"}, '[0].fault: got "blackhole"; allowed: one of frozen, '),
        ({"fault": "local", "device": "n3_meter"}, '[0].fault: got "local"; allowed: one of frozen'),
        ({"fault": "byte_swap", "device": "n7_converter"}, '[0].fault: got "byte_swap"; allowed: one of frozen'),
        ({"fault": "fewer", "device": "n9_converter"}, '[0].fault: got "fewer"; allowed: one of frozen'),
        ({"number": "3"}, "[0].number: got 3; allowed: none for frozen"),
        ({"fault": "slow", "number": "-1"}, "[0].number: got -1; allowed: a number > 0 s"),
        ({"fault": "derated", "number": ".nan"}, "[0].number: got NaN; allowed: a number > 0 kVA"),
        (
            {"fault": "foreign_write", "number": "0.5"},
            "[0].number: got 0.5; allowed: a whole number 0 … 65535, an epoch",
        ),
        ({"wrong": "1"}, "[0]: got a section; allowed: a section {at, for_s, device, fault, number}"),
    ],
)
def test_what_it_may_not_say(tmp_path: Path, gridlab9_config: Config, entries: dict[str, str], line: str) -> None:
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, gridlab9_config, **entries)
    (fault,) = caught.value.faults
    assert str(fault).removeprefix(f"{tmp_path / 'faults.yaml'}: ").startswith(line)


def test_the_plant_is_said_when_a_fault_begins_and_ends(tmp_path: Path, gridlab9_config: Config) -> None:
    events = loaded(tmp_path, gridlab9_config, fault="slow", number="2")
    start = events[0].at - timedelta(seconds=60)
    begins = {"fault": "slow", "device": "n4_converter", "on": True, "number": 2}
    ends = {"fault": "slow", "device": "n4_converter", "on": False}
    told = {t_s: list(fault_requests(events, start, t_s, 30.0)) for t_s in range(0, 240, 30)}
    assert {t_s: requests for t_s, requests in told.items() if requests} == {60: [begins], 180: [ends]}
    assert list(fault_requests(events, start + timedelta(seconds=100), 0.0, 30.0)) == [begins], (
        "it began before the run"
    )


def test_the_plant_knows_every_name(gridlab9_config: Config) -> None:
    for device in gridlab9_config.devices:
        own = {
            "modbus_meter": plant_faults.METER_FAULTS,
            "opcua_converter": plant_faults.OPCUA_FAULTS,
        }.get(device.kind, plant_faults.CONVERTER_FAULTS)
        link = set(LinkFault) - ({LinkFault.FEWER} if device.kind == "opcua_converter" else set())
        assert set(possible_faults(device)) == {*own, *link}
    of_devices = {"derated", "wrong_scale", "clock_jumps", "foreign_write", "voltage_scale", "swapped"}
    assert {*LINK_NUMBERS, *of_devices, SUPPLY_STEP} == set(NUMBERS)
