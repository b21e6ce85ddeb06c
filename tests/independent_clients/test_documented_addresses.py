"""Addresses in docs/reference/devices.md are those of maps and devices; docs/how-to/other_clients.md runs."""

import re
import shlex
import subprocess
import sys

import pytest
import yaml
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from tests.independent_clients.running_plant import RunningPlant
from tests.support.paths import CONFIG
from tests.support.requirements import tool

DOCS = CONFIG.parents[1] / "docs"
EXAMPLES = DOCS / "how-to" / "other_clients.md"
ROW = re.compile(r"^\| (\d+) \| (\d+) \| (4\d{4}) \| (\w+) \| (rw?) \| `(\w+)`", re.MULTILINE)
CONFIGURED = {"15023": "n3_converter", "15020": "n3_meter", "15025": "n5_converter", "14847": "n7_converter"}
"""Ports of the default configuration, and whose they are."""


@pytest.mark.parametrize(("name", "title"), [("converter_generic", "Converter ("), ("sicam_meter", "Meter (")])
def test_the_registers(name: str, title: str) -> None:
    page = (DOCS / "reference" / "devices.md").read_text()
    section = page.partition(f"\n{title}")[2].partition("\n\n|")[2].partition("\n\n")[0]
    registers = yaml.safe_load((CONFIG.parent / "registers" / f"{name}.yaml").read_text())["registers"]
    told = [(int(a), int(b), int(c), *rest) for a, b, c, *rest in ROW.findall(section)]
    assert told == [
        (r["address"], r["address"] + 1, r["address"] + 40001, r["type"], r.get("access", "r"), r["name"])
        for r in registers
    ]


def test_the_points(plant: RunningPlant) -> None:
    section = (DOCS / "reference" / "devices.md").read_text().partition("| model | points |")[2].partition("\n\n")[0]
    starts = [int(address) for address in re.findall(r"at (40\d{3})\b", section)]
    told = {name: int(address) for name, address in re.findall(r"(\w+) (40\d{3})\b", section) if name != "at"}
    client = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=plant.port("n5_converter"), timeout=5)
    client.scan()
    client.close()
    models = (client.common[0], client.DERMeasureAC[0], client.DERCtlAC[0], client.DERCtl[0])
    found = {name: model.model_addr + point.offset for model in models for name, point in model.points.items()}
    assert starts == [model.model_addr for model in models]
    assert told == {name: found[name] for name in told}
    assert len(told) > 20


def test_the_commands(plant: RunningPlant) -> None:
    program = tool("mbpoll", "mbpoll")
    commands = re.findall(r"^mbpoll .*", example("sh", "mbpoll", plant), re.MULTILINE)
    assert len(commands) > 4
    for command in commands:
        words = [program, *shlex.split(command, comments=True)[1:]]
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
        assert (done.returncode, done.stderr) == (0, ""), command


@pytest.mark.parametrize("library", ["sunspec2", "o6"])
def test_the_programs(plant: RunningPlant, library: str) -> None:
    program = example("python", library, plant)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert "BAD" not in done.stdout


def example(language: str, word: str, plant: RunningPlant) -> str:
    """The block of the examples in a language and with a word, at the ports of the plant."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", EXAMPLES.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if word in block)
    return re.sub(r"\b1\d{4}\b", lambda found: listening(plant, CONFIGURED[found[0]]), block)


def listening(plant: RunningPlant, device: str) -> str:
    """The port of a device."""
    place = plant.devices[device]
    return str(place["port"]) if "port" in place else place["url"].split(":")[2].partition("/")[0]
