"""The configuration: what a good one holds, and that every fault of a bad one is named."""

from collections.abc import Callable
from datetime import date, time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.config import Config
from core.config_devices import ModbusConverter, ModbusMeter, ModbusTls, OpcUaConverter, SunspecConverter
from core.errors import InputError
from core.load import config_of, load_config, load_yaml
from core.resources import Capability, Pv
from core.scenario import Site
from tests.support.paths import BAD_INPUT, CONFIGS
from tests.support.user_data import cases

Write = Callable[[dict[str, Any]], Path]


def test_all_sections_and_kinds_of_devices() -> None:
    config = load_config(BAD_INPUT / "good.yaml")
    kinds = [type(device) for device in config.devices]
    assert kinds == [ModbusConverter, SunspecConverter, OpcUaConverter, ModbusMeter]
    assert config.horizon.date == date(2018, 6, 21)
    assert config.limits.margin == "off"
    assert config.schedule.day_ahead_at == time(23)
    assert config.coordination.rho == 0.01
    assert config.solver.reference == "gurobi"
    assert config.prosumers[0].battery is not None
    assert config.prosumers[0].battery.battery().capability is Capability.DISC


def test_look_ups() -> None:
    config = load_config(BAD_INPUT / "good.yaml")
    assert list(config.converters.values()) == list(config.devices[:3])
    assert config.converters["third_converter"] is config.devices[2]
    assert list(config.meters.values()) == [config.devices[3]]
    assert config.meter_at == {"N1": "meter"}
    assert config.converters_of == {"first": ("first_converter",), "second": ("second_converter",)}
    both = config.prosumers[1].model_copy(update={"converter": ("second_converter", "third_converter")})
    passive = config.prosumers[0].model_copy(update={"converter": None})
    other = config.model_copy(update={"prosumers": (passive, both)})
    assert other.converters_of == {"first": (), "second": ("second_converter", "third_converter")}
    second = config.meters["meter"].model_copy(update={"name": "another"})
    more = config.model_copy(update={"devices": (*config.devices, second)})
    assert list(more.meters) == ["meter", "another"]
    assert more.meter_at["N1"] == "meter", "the first one counts"


def test_a_prosumer_with_two_converters(write: Write) -> None:
    config = load_config(write({"set": {"prosumers[1].converter": ["second_converter", "third_converter"]}}))
    assert config.prosumers[1].converters == ("second_converter", "third_converter")
    assert config.prosumers[0].converters == ("first_converter",)


def test_converters_of_different_kinds_with_preferences(write: Write) -> None:
    team = {"prosumers[1].converter": ["second_converter", "third_converter"]}
    config = load_config(write({"set": {**team, "devices[1].priority": 1, "devices[2].reactive": False}}))
    assert [(one.priority, one.reactive) for one in config.converters.values()] == [(0, True), (1, True), (0, False)]


def test_several_pv_plants_and_their_names(write: Write) -> None:
    plants = [{"name": "east", "peak_kw": 3.0, "forecast": 0.5, "s_max_kva": 1.2}, {"peak_kw": 4.0, "forecast": 0.5}]
    config = load_config(write({"set": {"prosumers[0].pv": plants}}))
    assert {name: plant.peak_kw for name, plant in config.prosumers[0].plants.items()} == {"pv_east": 3.0, "pv_2": 4.0}
    assert config.prosumers[1].plants == {}
    site = Site("first", "N2", config.prosumers[0].resources(lambda *_: np.full(1, 0.5), "forecast"))
    assert list(site.resources) == ["battery", "pv_east", "pv_2", "load"]
    assert [plant.available_kw[0] for plant in site.each(Pv)] == [1.2, 2.0], "the inverter limits the output"


@pytest.mark.parametrize(
    ("step_min", "every_min", "period_min"), [(10, 10, 10), (15, 10, 15), (5, 10, 10), (4, 10, 12)]
)
def test_the_mpc_runs_in_whole_steps(write: Write, step_min: int, every_min: int, period_min: int) -> None:
    config = load_config(write({"set": {"horizon.step_min": step_min, "schedule.mpc_every_min": every_min}}))
    assert config.mpc_period_min == period_min


def test_the_day_ends_as_it_begins(write: Write) -> None:
    config = load_config(write({"set": {"prosumers[0].battery": {"s_max_kva": 1, "energy_kwh": 2, "soc_initial": 0.7,
                                                                 "soc_final_min": "initial"}}}))  # fmt: skip
    assert config.prosumers[0].battery is not None
    assert config.prosumers[0].battery.battery().soc_final_min == 0.7


def test_defaults(write: Write) -> None:
    optional = ["devices", "schedule", "coordination", "solver", "telemetry", "currency", "limits.margin"]
    inner = ["horizon.step_min", "prosumers[0].battery", "prosumers[0].pv"]
    inner += ["prosumers[0].converter", "prosumers[1].converter"]
    config = load_config(write({"drop": optional + inner}))
    assert config.devices == ()
    assert (config.currency, config.horizon.step_min, config.limits.margin) == ("CHF", 10, "auto")
    assert (config.schedule.day_ahead_at, config.schedule.realtime_s) == (time(23), 30)
    assert (config.coordination.splitting, config.coordination.relaxation) == ("profile", 1.6)
    assert (config.coordination.stop, config.coordination.gap_tol) == ("certificate", 1e-3)
    assert (config.coordination.rho, config.coordination.violation_price_chf_per_kwh) == ("auto", "auto")
    assert (config.solver.prosumer, config.solver.reference) == ("piqp", "clarabel")
    assert config.telemetry.influx is None


def test_units_of_one_address_in_the_same_tls(write: Write) -> None:
    tls = {"certificate": "own.pem", "key": "own_key.pem", "server_certificate": "device.pem"}
    shared = {"devices[0].tls": tls, "devices[3].tls": tls, "devices[3].port": 15023, "devices[3].unit": 2}
    converter, sunspec, _, meter = load_config(write({"set": shared})).devices
    assert isinstance(converter, ModbusConverter)
    assert isinstance(sunspec, SunspecConverter)
    assert isinstance(meter, ModbusMeter)
    assert converter.tls == meter.tls == ModbusTls(**{key: Path(file) for key, file in tls.items()})
    assert sunspec.tls is None


def test_configuration_is_immutable() -> None:
    config = load_config(BAD_INPUT / "good.yaml")
    with pytest.raises(ValueError, match="frozen"):
        config.name = "other"


@pytest.mark.parametrize("name", ["gridlab9", "gridlab9-household"])
def test_configurations_of_the_repository(name: str) -> None:
    config = load_config(CONFIGS / f"{name}.yaml")
    assert config.name == name
    assert config.grid.network().nodes == tuple(f"N{n}" for n in range(1, 10))
    assert [prosumer.node for prosumer in config.prosumers] == ["N3", "N4", "N5", "N7", "N9"]


@pytest.mark.parametrize("case", cases("fields.yaml"))
def test_faulty_fields_and_rules(case: dict[str, Any], write: Write) -> None:
    path = write(case)
    with pytest.raises(InputError) as caught:
        load_config(path)
    faults = {fault.key: str(fault) for fault in caught.value.faults}
    assert faults.keys() == case["faults"].keys()
    assert len(caught.value.faults) == len(faults)
    for key, words in case["faults"].items():
        assert faults[key].startswith(f"{path}: {key}: got ")
        assert "\n" not in faults[key]
        assert all(word in faults[key] for word in words), faults[key]


@pytest.mark.parametrize(
    ("url", "clear"),
    [
        ("http://192.0.2.7:8086", True),
        ("http://localhost:8086", False),
        ("http://[::1]:8086", False),
        ("http://127.0.0.9:8086", False),
        ("https://influx.example.org", False),
    ],
)
def test_a_database_in_tls_on_this_machine_or_in_clear_text_on_purpose(url: str, clear: bool, write: Write) -> None:
    path = write({"set": {"telemetry.influx.url": url, "telemetry.influx.allow_clear_text": clear}})
    influx = load_config(path).telemetry.influx
    assert influx
    assert (influx.url, influx.allow_clear_text) == (url, clear)


@pytest.mark.parametrize("case", cases("texts.yaml"))
def test_texts_that_are_no_configuration(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(case["text"], encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_config(path)
    [fault] = caught.value.faults
    assert fault.key == case["key"]
    assert all(word in str(fault) for word in case["says"]), str(fault)
    assert "\n" not in str(fault)


def test_key_given_twice_is_named_with_the_other_faults(write: Write) -> None:
    path = write({"set": {"limits.margin": "no"}})
    path.write_text(path.read_text() + "currency: EUR\n")
    with pytest.raises(InputError) as caught:
        load_config(path)
    line = len(path.read_text().splitlines())
    assert [fault.key for fault in caught.value.faults] == [f"line {line}", "limits.margin"]
    assert 'the key "currency" again' in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), ("folder", "directory"), (b"\xff\xfe\x00", "text in UTF-8"), (b"[" * 5000, "YAML")],
)
def test_files_that_cannot_be_read(content: bytes | str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        path.mkdir()
    with pytest.raises(InputError) as caught:
        load_config(path)
    [fault] = caught.value.faults
    assert fault.file == str(path)
    assert words in str(fault)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("23:00", "23:00"),
        ("off", "off"),
        ("no", "no"),
        ("2018-06-21", "2018-06-21"),
        ("010", 10),
        ("0x10", 16),
        ("0o10", 8),
        ("1_000", "1_000"),
        ("True", True),
        ("~", None),
        ("", None),
        ("+.5", 0.5),
        ("9" * 5000, float("inf")),
    ],
)
def test_scalars_of_yaml_1_2(text: str, value: object, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(f"key: {text}\n")
    assert load_yaml(path) == {"key": value}


def test_references_to_oneself_are_faults(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("grid: &grid\n  lines: [*grid]\n  slack: *grid\n")
    with pytest.raises(InputError, match=r"grid\.lines\[0\]\.from"):
        load_config(path)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["auto", "off", "N1", "N2", "2018-03-25", "Europe/Zurich", "modbus_meter", "day.csv", "."]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3) | st.integers(), st.integers(), max_size=2),
)


def places(data: object) -> list[tuple[Any, Any]]:
    """Every (container, key) of nested data."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else []
    return [place for key, value in items for place in ((data, key), *places(value))]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_wrong_is_an_input_error(tmp_path: Path, data: st.DataObject) -> None:
    config: Any = load_yaml(BAD_INPUT / "good.yaml")
    for _ in range(data.draw(st.integers(1, 4))):
        container, key = data.draw(st.sampled_from(places(config)))
        if key in container or isinstance(container, list):
            container[key] = data.draw(JUNK)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    try:
        assert isinstance(load_config(path), Config)
    except InputError as error:
        assert error.faults
        assert str(error).count("\n") == len(error.faults) - 1


def test_a_document_gives_the_configuration_again(tmp_path: Path) -> None:
    path = BAD_INPUT / "good.yaml"
    config = load_config(path)
    assert config_of(config.document(), path) == config
    document = config.document(BAD_INPUT)
    assert document["tariff"]["file"] == str(BAD_INPUT / "day.csv")
    assert document["devices"][2]["security"]["user_file"] == str(BAD_INPUT / "user")
    assert document["telemetry"]["influx"]["token_file"] == str(BAD_INPUT / "token")
    assert document["telemetry"]["sqlite"] == "points.sqlite", "relative to the run directory"
    assert document["schedule"]["day_ahead_at"] == "23:00"
    elsewhere = config_of(document, tmp_path / "elsewhere.yaml")
    assert elsewhere.document() == document
    assert elsewhere.limits == config.limits


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{a: &a {x: 1, y: 2}, b: {<<: *a, y: 3}}", {"x": 1, "y": 3}),
        ("{a: &a {x: 1}, c: &c {z: 1, x: 9}, b: {<<: [*a, *c], y: 3}}", {"x": 1, "z": 1, "y": 3}),
        ("{a: &a {x: 1}, c: &c {<<: *a, z: 2}, b: {<<: *c}}", {"x": 1, "z": 2}),
        ("{b: {'<<': 3}}", {"<<": 3}),
    ],
)
def test_merge_keys(text: str, expected: dict[str, int], tmp_path: Path) -> None:
    (tmp_path / "merged.yaml").write_text(text)
    document: Any = load_yaml(tmp_path / "merged.yaml")
    assert document["b"] == expected


@pytest.mark.parametrize("text", ["{b: {<<: 3}}", "{b: {<<: [3]}}", "{a: &a {x: 1}, b: {<<: *a, <<: *a}}"])
def test_faulty_merge_keys(text: str, tmp_path: Path) -> None:
    (tmp_path / "merged.yaml").write_text(text)
    with pytest.raises(InputError, match="<<") as caught:
        load_yaml(tmp_path / "merged.yaml")
    assert len(caught.value.faults) == 1
