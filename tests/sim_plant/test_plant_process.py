"""The plant as a process of its own, from a configuration file to SIGTERM."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from tests.support.paths import CONFIG, CONFIGS
from tests.support.plant_benches import master


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The default scenario and its devices."""
    text = CONFIG.read_text()
    for folder in ("profiles", "registers"):
        text = text.replace(f"{folder}/", f"{CONFIGS}/{folder}/")
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    return path


async def started(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sim_plant", *arguments, stdout=pipe, stderr=pipe, cwd=CONFIGS.parent
    )


@pytest.mark.parametrize("ending", ["SIGTERM", "stop"])
async def test_a_plant_in_lock_step(config: Path, tmp_path: Path, ending: str) -> None:
    frames = tmp_path / "frames.jsonl"
    plant = await started(str(config), "--lock-step", "--free-ports", "--frames", str(frames))
    assert plant.stdout
    listening = json.loads(await plant.stdout.readline())
    assert {"n3_converter", "n5_converter", "n9_converter", "n1_meter", "n9_meter"} < set(listening["devices"])
    async with master(listening["control"]) as ask:
        assert await ask(advance_to=36_000) == {"at": 36_000}
        truth = await ask(ask="truth")
        assert 0.99 <= truth["nodes"]["N1"] <= 1.01
        assert truth["nodes"]["N1"] != 1.0
        if ending == "stop":
            await ask(stop=True)
        else:
            plant.send_signal(signal.SIGTERM)
        _, errors = await plant.communicate()
    assert (plant.returncode, errors) == (0, b"")
    assert frames.read_text() == ""


async def test_bad_input(config: Path) -> None:
    config.write_text(config.read_text().replace("sicam_meter.yaml", "no_such.yaml"))
    plant = await started(str(config))
    output, errors = await plant.communicate()
    assert (plant.returncode, output) == (2, b"")
    assert b"Traceback" not in errors
    assert b"no_such.yaml" in errors
