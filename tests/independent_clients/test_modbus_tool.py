"""mbpoll (libmodbus) reads and writes N3 and its meter by the registers of docs/reference/devices.md."""

import re
import subprocess
from dataclasses import dataclass

import pytest

from tests.independent_clients.running_plant import LAST_LEASE_S, LEASE_S, RunningPlant, eventually
from tests.support.requirements import tool

SAFE, REMOTE = "1", "2"
SETPOINT, COMMAND, POWER = "-r 0 -t 4:float -B", "-r 4", "-r 8 -c 2"
NO_ADDRESS, NO_VALUE = "Illegal data address", "Illegal data value"


@dataclass(frozen=True)
class Mbpoll:
    """The tool at one unit of the plant, counting registers from 0; a request is as on its command line."""

    program: str
    port: int
    unit: int

    def read(self, request: str) -> list[str]:
        """What it shows for each register."""
        return re.findall(r"^\[\d+\]:\s+(\S+)", self._run(request).stdout, re.MULTILINE)

    def floats(self, request: str) -> list[float]:
        return [float(value) for value in self.read(f"{request} -t 4:float -B")]

    def error(self, request: str) -> str:
        """What it says of a request that failed, nothing of one that did not."""
        said = self._run(request)
        assert (said.returncode == 0) == (said.stderr == ""), said
        return said.stderr.rpartition(": ")[2].strip()

    def _run(self, request: str) -> "subprocess.CompletedProcess[str]":
        options, dashes, values = request.partition("--")
        target = f"-m tcp -p {self.port} -a {self.unit} -o 5 -0 -1 {options} 127.0.0.1 {dashes} {values}"
        return subprocess.run([self.program, *target.split()], capture_output=True, text=True, timeout=20, check=False)


@pytest.fixture
def converter(plant: RunningPlant) -> Mbpoll:
    return Mbpoll(tool("mbpoll", "mbpoll"), plant.port("n3_converter"), unit=3)


@pytest.fixture
def meter(plant: RunningPlant) -> Mbpoll:
    return Mbpoll(tool("mbpoll", "mbpoll"), plant.port("n3_meter"), unit=3)


def test_converter_and_meter_are_read(converter: Mbpoll, meter: Mbpoll) -> None:
    _, _, v_v, s_max_kva = converter.floats("-r 8 -c 4")
    metered_v, i_a, _, _ = meter.floats("-r 200 -c 4")
    assert s_max_kva == 15
    assert 390 < v_v < 410
    assert metered_v == pytest.approx(v_v, abs=2)
    assert 0 <= i_a < 5
    assert meter.read("-r 208") == ["0"]


def test_a_setpoint_is_followed_and_lapses(converter: Mbpoll, meter: Mbpoll) -> None:
    assert not converter.error(f"{SETPOINT} -- 0.2 -0.1")
    assert converter.read("-r 7") == [SAFE], "nothing acts before enable is written"
    assert not converter.error(f"{COMMAND} -- {LEASE_S} 0 1")
    eventually(lambda: converter.floats(POWER), lambda s: s[0] > 0.15 and s[1] < -0.075)
    p_w, q_var = meter.floats("-r 204 -c 2")
    assert 120 < p_w < 230
    assert -130 < q_var < -45
    left_s, _, enable, state = converter.read("-r 4 -c 4")
    assert int(left_s) <= LEASE_S
    assert (enable, state) == ("1", REMOTE)
    assert not converter.error(f"{COMMAND} -- {LAST_LEASE_S} 0 1")
    eventually(lambda: converter.read("-r 4 -c 4"), lambda words: words == ["0", "0", "0", SAFE])
    eventually(lambda: converter.floats(POWER), lambda s: s[0] < 0.05 and s[1] > -0.025)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        pytest.param("-r 0 -t 4:hex -- 0x4180 0 0 0 4 0 1", NO_VALUE, id="16 kW"),
        pytest.param("-r 0 -t 4:hex -- 0x4140 0 0x4140 0 4 0 1", NO_VALUE, id="12 + j12 kVA"),
        pytest.param("-r 0 -t 4:hex -- 0x3E00 0 0 0 0 0 1", NO_VALUE, id="no lease"),
        pytest.param(f"{SETPOINT} -- nan 0", NO_VALUE, id="not a number"),
        pytest.param("-r 4 -- 601", NO_VALUE, id="a lease of 601 s"),
        pytest.param("-r 6 -- 2", NO_VALUE, id="enable 2"),
        pytest.param("-r 0 -- 16256", NO_ADDRESS, id="half a value"),
        pytest.param("-r 8 -t 4:float -B -- 1", NO_ADDRESS, id="a measurement"),
        pytest.param("-r 20 -- 1", NO_ADDRESS, id="written nowhere"),
        pytest.param("-r 20 -c 2", NO_ADDRESS, id="read nowhere"),
        pytest.param("-r 0 -c 2 -t 3", "Illegal function", id="input registers"),
    ],
)
def test_a_wrong_request_is_refused_and_changes_nothing(converter: Mbpoll, request_: str, error: str) -> None:
    before = converter.read("-r 0 -c 8 -t 4:hex")
    assert converter.error(request_) == error
    assert converter.read("-r 0 -c 8 -t 4:hex") == before


def test_a_meter_cannot_be_written_and_nobody_answers_for_a_unit_that_is_not_there(meter: Mbpoll) -> None:
    assert meter.error("-r 200 -t 4:float -B -- 400") == NO_ADDRESS
    foreign = Mbpoll(meter.program, meter.port, unit=77)
    assert foreign.error("-r 200") == "Target device failed to respond"
