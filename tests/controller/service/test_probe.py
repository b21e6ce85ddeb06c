"""Probing a real plant process: healthy devices, and one of each kind of trouble; nothing is ever written."""

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from controller.cli.screens.probe import print_probe
from controller.process.clocks import WallClock
from controller.service.probe import DeviceReport, check_meters, model_check, probe
from core.config import Config
from core.devices import Outcome, Quality, Setpoint
from drivers.factory import DriverSettings, connect
from tests.support.paths import CONFIG

Capsys = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Plant:
    """A plant in real time, and the default configuration with its devices where they listen."""

    config: Config
    control_port: int

    async def ask(self, **request: object) -> Any:
        """One request to its control socket."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.control_port)
        writer.write(json.dumps(request).encode() + b"\n")
        answer = json.loads(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return answer

    def with_ports(self, **ports: int) -> Config:
        """Some devices elsewhere."""
        devices = (d.model_copy(update={"port": ports[d.name]}) if d.name in ports else d for d in self.config.devices)
        return self.config.model_copy(update={"devices": tuple(devices)})


@pytest.fixture(scope="module")
def plant(gridlab9_config: Config) -> Iterator[Plant]:
    command = [sys.executable, "-m", "sim_plant", str(CONFIG), "--free-ports"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        listening = json.loads(process.stdout.readline())
        places = listening["devices"]
        devices = tuple(device.model_copy(update=places[device.name]) for device in gridlab9_config.devices)
        yield Plant(gridlab9_config.model_copy(update={"devices": devices}), listening["control"])
        process.terminate()
        assert process.wait(20) == 0


@asynccontextmanager
async def black_hole() -> AsyncIterator[int]:
    """A port that takes everything and answers nothing."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def probed(config: Config, reads: int, clock: WallClock | None = None) -> dict[str, DeviceReport]:
    reports = await probe(config, CONFIG, clock or WallClock(), reads)
    assert [report.name for report in reports] == [device.name for device in config.devices]
    return {report.name: report for report in reports}


async def test_a_laboratory_in_order(plant: Plant, capsys: Capsys) -> None:
    reports = await probed(plant.config, reads=2)
    assert {name: report.problems for name, report in reports.items()} == dict.fromkeys(reports, ())
    for report in reports.values():
        assert report.answered
        assert report.last.measurement.quality is Quality.GOOD
        assert report.latency_ms is not None
        assert 0 < report.latency_ms < 1000
        assert (report.last.status is None) == report.name.endswith("meter")
    assert reports["n4_meter"].address.endswith(" unit 4")
    assert reports["n7_converter"].address.startswith("opc.tcp://127.0.0.1:")
    check = model_check(plant.config, list(reports.values()))
    assert check is not None
    assert check.samples == 16
    assert check.worst_pu < 0.002
    print_probe(list(reports.values()), check, check_meters(plant.config, list(reports.values())))
    printed = capsys.readouterr().out
    assert "14 of 14 devices answered" in printed
    assert "of 16 voltages" in printed
    assert all(name in printed for name in reports)


TROUBLES = {
    "n3_converter": ("frozen", None, "its clock stands"),
    "n4_converter": ("local", None, "is operated at its panel (LOCAL)"),
    "n9_converter": ("derated", 5.0, "offers 5 kVA, configured 15 kVA"),
    "n6_meter": ("sentinel", None, "invalid: {'p_kw': 'not available'"),
    "n7_meter": ("wrong_scale", 10.0, "V, plausible 200 … 600 V"),
}
"""By device: a fault of the plant, its number, and what the probe says of it."""


async def test_every_trouble_has_its_words(plant: Plant, capsys: Capsys) -> None:
    async def test() -> tuple[Config, tuple[DeviceReport, ...]]:
        settings = DriverSettings(CONFIG.parent, plant.config.grid.voltage_v, WallClock())
        remote = [device for device in plant.config.devices if device.name == "n7_converter"]
        async with connect(remote, settings, writer_epoch=4) as devices, black_hole() as hole:
            assert await devices.converters["n7_converter"].write(Setpoint(0.5, 0.0, 60.0)) is Outcome.VERIFIED
            for device, (fault, number, _) in TROUBLES.items():
                assert "error" not in await plant.ask(fault=fault, device=device, on=True, number=number)
            before = await plant.ask(ask="referee")
            with socket.create_server(("127.0.0.1", 0)) as listener:
                closed = listener.getsockname()[1]
            config = plant.with_ports(n2_meter=hole, n8_meter=closed)
            reports = await probe(config, CONFIG, WallClock(), reads=2)
            assert await plant.ask(ask="referee") == before
            for device, (fault, _, _) in TROUBLES.items():
                await plant.ask(fault=fault, device=device, on=False)
            assert await devices.converters["n7_converter"].release() is Outcome.VERIFIED
        return config, reports

    config, found = await test()
    reports = {report.name: report for report in found}
    for name, (_, _, words) in TROUBLES.items():
        (problem,) = reports[name].problems
        assert words in problem, problem
    assert reports["n7_converter"].problems == ("follows setpoints (REMOTE, writer 4): is another controller running?",)
    assert {name for name, report in reports.items() if not report.answered} == {"n2_meter", "n8_meter"}
    for name, words in (("n2_meter", "no answer: "), ("n8_meter", "not reachable")):
        assert reports[name].latency_ms is None
        (problem,) = reports[name].problems
        assert words in problem
    assert reports["n1_meter"].problems == reports["n5_converter"].problems == ()
    print_probe(found, model_check(config, found), check_meters(config, found))
    printed = capsys.readouterr().out
    assert "12 of 14 devices answered" in printed
    assert "n6_meter: invalid: {'p_kw': 'not available'" in printed


async def test_a_clock_an_hour_off(plant: Plant) -> None:
    class Late(WallClock):
        def now(self) -> datetime:
            return super().now() + timedelta(hours=1)

    reports = await probed(plant.config, reads=1, clock=Late())
    for report in reports.values():
        (problem,) = report.problems
        (behind_s,) = re.findall(r"its clock is ([\d.]+) s behind ours, allowed ±5 s", problem)
        assert float(behind_s) == pytest.approx(3600, abs=5)  # the reading's own age counts


async def test_no_devices_no_problem(gridlab9_config: Config, capsys: Capsys) -> None:
    config = gridlab9_config.model_copy(update={"devices": ()})
    assert await probed(config, reads=1) == {}
    print_probe((), model_check(config, ()), check_meters(config, ()))
    printed = capsys.readouterr().out
    assert "0 of 0 devices answered" in printed
    assert "grid model: not compared" in printed
