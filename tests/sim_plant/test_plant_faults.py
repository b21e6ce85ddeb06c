"""Faults by name: what a device says and does while it has them."""

from math import isnan

import pytest

from core.config_devices import Device
from sim_plant.converter import ControlState, Refusal
from sim_plant.faults import FaultError
from sim_plant.laboratory import Laboratory
from sim_plant.referee import FrameLog
from sim_plant.settings import PlantError
from sim_plant.stations import ConverterStation
from tests.support.plant_benches import GENERIC, METER, START, device, plant_of

SETPOINT = {"p_setpoint_kw": 3.0, "q_setpoint_kvar": -1.0, "lease_s": 75.0, "writer_epoch": 4.0, "enable": 1.0}


def laboratory(*devices: Device) -> Laboratory:
    return Laboratory(plant_of(*devices), FrameLog(START))


@pytest.fixture
def lab() -> Laboratory:
    lab = laboratory(device("c", GENERIC), device("m", METER, node="N3"))
    assert lab.converters["c"].write(SETPOINT) is None
    lab.advance(30.0)
    return lab


@pytest.fixture
def converter(lab: Laboratory) -> ConverterStation:
    return lab.converters["c"]


def test_without_a_fault(converter: ConverterStation) -> None:
    values = converter.values()
    assert (values["p_kw"], values["q_kvar"]) == pytest.approx((3.0, -1.0), abs=1e-6)
    assert (values["state"], values["lease_given_s"], values["lease_s"]) == (ControlState.REMOTE, 75.0, 45.0)
    assert values["clock_s"] == START.timestamp() + 30.0


def test_frozen(lab: Laboratory, converter: ConverterStation) -> None:
    before = converter.values()
    converter.switch("frozen", on=True)
    assert converter.write({**SETPOINT, "p_setpoint_kw": 5.0}) is None
    lab.advance(200.0)
    assert converter.values() == before, "data and clock stand"
    assert converter.state.mode is ControlState.SAFE, "the lease has run out all the same"
    converter.switch("frozen", on=False)
    assert converter.values()["clock_s"] == START.timestamp() + 200.0


def test_a_wrong_or_standing_voltage_leaves_powers_and_clock_alone(lab: Laboratory) -> None:
    meter = lab.meters["m"]
    right = meter.values()
    assert right["v_v"] is not None
    meter.switch("voltage_scale", on=True, number=1.1)
    assert meter.values() == {**right, "v_v": pytest.approx(1.1 * right["v_v"])}
    meter.switch("voltage_scale", on=False)
    meter.switch("voltage_frozen", on=True)
    assert lab.converters["c"].write({**SETPOINT, "p_setpoint_kw": 9.0}) is None
    lab.advance(60.0)
    seen = meter.values()
    assert seen["v_v"] == right["v_v"]
    assert (seen["p_kw"], seen["clock_s"]) != (right["p_kw"], right["clock_s"])
    meter.switch("voltage_frozen", on=False)
    assert meter.values()["v_v"] != right["v_v"]


def test_a_swapped_meter_measures_another_node(lab: Laboratory) -> None:
    meter = lab.meters["m"]
    meter.switch("swapped", on=True, number=1)
    lab.advance(60.0)
    assert meter.measured_node == lab.config.network.nodes[0]
    assert meter.values()["p_kw"] == pytest.approx(lab.grid_state.slack_kva.real, abs=0.02)
    meter.switch("swapped", on=False)
    lab.advance(90.0)
    assert meter.measured_node == "N3"


@pytest.mark.parametrize("number", [None, 0.0, 1.5, 99.0])
def test_a_meter_cannot_be_swapped_with_no_node(lab: Laboratory, number: float | None) -> None:
    with pytest.raises(FaultError, match="swapped"):
        lab.meters["m"].switch("swapped", on=True, number=number)


def test_local(lab: Laboratory, converter: ConverterStation) -> None:
    converter.switch("local", on=True)
    assert converter.write(SETPOINT) is not None
    lab.advance(60.0)
    assert (converter.values()["state"], converter.state.setpoint_kva) == (ControlState.LOCAL, 0j)
    converter.switch("local", on=False)
    assert converter.values()["state"] == ControlState.SAFE
    assert converter.write(SETPOINT) is None


def test_ignore_writes(converter: ConverterStation) -> None:
    converter.switch("ignore_writes", on=True)
    assert converter.write({**SETPOINT, "p_setpoint_kw": 5.0}) is None, "acknowledged"
    assert converter.values()["p_setpoint_kw"] == 3.0, "but not followed, as the read-back shows"


def test_reboot(lab: Laboratory, converter: ConverterStation) -> None:
    converter.switch("reboot", on=True)
    assert (converter.values()["state"], converter.state.s_kva) == (ControlState.OFF, 0j)
    converter.switch("reboot", on=False)
    values = converter.values()
    assert (values["state"], values["writer_epoch"], values["p_setpoint_kw"]) == (ControlState.SAFE, 0.0, 0.0)


def test_trip(lab: Laboratory, converter: ConverterStation) -> None:
    converter.switch("trip", on=True)
    lab.advance(31.0)
    values = converter.values()
    assert (values["state"], values["p_kw"]) == (ControlState.FAULT, 0.0)


def test_stuck(lab: Laboratory, converter: ConverterStation) -> None:
    converter.switch("stuck", on=True)
    converter.write({**SETPOINT, "p_setpoint_kw": 9.0})
    lab.advance(60.0)
    values = converter.values()
    assert values["p_setpoint_kw"] == 9.0
    assert values["p_kw"] == pytest.approx(3.0, abs=1e-6)


def test_a_foreign_writer(lab: Laboratory, converter: ConverterStation) -> None:
    converter.switch("foreign_write", on=True)
    lab.advance(40.0)
    values = converter.values()
    assert (values["p_setpoint_kw"], values["writer_epoch"]) == (pytest.approx(3.71, abs=0.05), 5.0)
    assert converter.write(SETPOINT) is Refusal.EPOCH, "he has taken over"
    lab.advance(60.0)
    assert converter.values()["p_setpoint_kw"] == values["p_setpoint_kw"], "again only after 30 s"
    lab.advance(70.0)
    assert converter.values()["p_setpoint_kw"] != values["p_setpoint_kw"]
    converter.switch("foreign_write", on=False)
    lab.advance(145.1)
    assert converter.state.mode is ControlState.SAFE
    assert lab.recorder.tally.rules == {"writer": 1}, "but for our own late frame all were within the rules"


def test_a_foreign_writer_with_our_epoch(lab: Laboratory, converter: ConverterStation) -> None:
    converter.switch("foreign_write", on=True, number=4)
    lab.advance(40.0)
    assert converter.values()["p_setpoint_kw"] != 3.0
    assert converter.write(SETPOINT) is None


def test_a_foreign_writer_stays_within_the_circle(lab: Laboratory, converter: ConverterStation) -> None:
    converter.switch("foreign_write", on=True)
    for k in range(2, 60):
        lab.advance(30.0 * k)
    assert abs(converter.state.setpoint_kva) == pytest.approx(7.5, abs=0.76)
    assert lab.recorder.tally.violations.total() == 0


@pytest.mark.parametrize("name", ["c", "m"])
def test_the_clock_alone_is_wrong(lab: Laboratory, name: str) -> None:
    station = lab.station(name)
    before = station.values()
    right_s = before["clock_s"]
    assert right_s is not None
    station.switch("clock_stands", on=True)
    lab.advance(60.0)
    assert station.values()["clock_s"] == right_s
    station.switch("clock_stands", on=False)
    station.switch("clock_jumps", on=True, number=-120.0)
    assert station.values()["clock_s"] == right_s + 30.0 - 120.0
    station.switch("clock_jumps", on=False)
    assert station.values()["clock_s"] == right_s + 30.0


def test_derated(converter: ConverterStation) -> None:
    converter.switch("derated", on=True, number=4.0)
    assert converter.values()["s_max_kva"] == 4.0


@pytest.mark.parametrize("name", ["c", "m"])
def test_measurements_that_are_missing_or_wrong(lab: Laboratory, name: str) -> None:
    station = lab.station(name)
    right = station.values()
    p_kw, v_v = right["p_kw"], right["v_v"]
    assert p_kw is not None
    assert v_v is not None
    wrong = {}
    for fault in ("sentinel", "nan", "wrong_scale", "inverted_sign"):
        station.switch(fault, on=True)
        wrong[fault] = station.values()
        station.switch(fault, on=False)
    assert wrong["sentinel"]["p_kw"] is wrong["sentinel"]["v_v"] is None
    assert isnan(wrong["nan"]["p_kw"] or 0)
    assert (wrong["wrong_scale"]["p_kw"], wrong["wrong_scale"]["v_v"]) == (10 * p_kw, 10 * v_v)
    assert (wrong["inverted_sign"]["p_kw"], wrong["inverted_sign"]["v_v"]) == (-p_kw, v_v)
    assert all(values["clock_s"] == right["clock_s"] for values in wrong.values())
    assert station.values() == right


def test_faults_that_do_not_exist(lab: Laboratory) -> None:
    with pytest.raises(FaultError, match="allowed frozen"):
        lab.converters["c"].switch("gremlin", on=True)
    with pytest.raises(FaultError, match="m: asked fault local, allowed frozen"):
        lab.meters["m"].switch("local", on=True)
    with pytest.raises(FaultError, match="c: asked fault trip with 1.0, allowed no number"):
        lab.converters["c"].switch("trip", on=True, number=1.0)
    with pytest.raises(FaultError, match="m: asked fault wrong_scale with -1.0, allowed a factor > 0"):
        lab.meters["m"].switch("wrong_scale", on=True, number=-1.0)
    with pytest.raises(FaultError, match="c: asked fault foreign_write with 0.5, allowed an epoch"):
        lab.converters["c"].switch("foreign_write", on=True, number=0.5)
    with pytest.raises(PlantError, match="asked device x, allowed c, m"):
        lab.station("x")


def test_what_meters_see() -> None:
    meters = [device(f"m{k}", METER, node=f"N{k}", unit=k) for k in (1, 2, 3, 4)]
    lab = laboratory(device("c", GENERIC), *meters)
    lab.converters["c"].write(SETPOINT)
    lab.advance(40.0)
    supply, middle, prosumer, spur = (lab.meters[f"m{k}"].values() for k in (1, 2, 3, 4))
    losses_kw = (supply["p_kw"] or 0) - (prosumer["p_kw"] or 0)
    i_a = prosumer["i_a"] or 0
    assert losses_kw == pytest.approx(3 * i_a**2 * (0.2 + 0.3) / 1e3, rel=1e-6)
    assert i_a == pytest.approx(1e3 * 10**0.5 / (3**0.5 * (prosumer["v_v"] or 0)), rel=1e-6)
    assert supply["i_a"] == pytest.approx(i_a)
    assert middle["i_a"] == pytest.approx(i_a), "the line that feeds N2 carries what N3 draws"
    assert (middle["p_kw"], spur["p_kw"], spur["i_a"]) == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)
    assert spur["v_v"] == pytest.approx(middle["v_v"])
