"""A state folder that is saved while its service is ACTIVE, lost, and restored."""

import asyncio
import json
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from controller.api.tokens import Role, Tokens, token_of
from controller.process.clocks import SteppedClock, WallClock
from controller.process.commanded import Commanded, command, lower, read
from controller.process.follower import at_addresses
from controller.process.lock import exclusive_lock
from controller.process.modes import Mode
from controller.record.backup import MANIFEST, back_up, restore
from controller.record.journal import Journal
from controller.service.service import Service
from controller.service.setup import Setup
from core.errors import InputError
from core.load import load_config
from sim_plant.plant import Plant, open_plant
from sim_plant.reports import address
from sim_plant.settings import plant_config
from tests.support.guardians import STANDING_S, living_guardian
from tests.support.paths import CONFIG

NOON = datetime(2018, 6, 21, 12, tzinfo=ZoneInfo("Europe/Zurich"))
NOW = datetime(2018, 6, 21, 10, tzinfo=UTC)


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


def small_state(state: Path, mode: Mode = Mode.ACTIVE) -> None:
    """Of a service that was commanded ``mode``."""
    state.mkdir()
    Tokens.of(state)
    lower(state, Mode.MONITOR if mode is Mode.ACTIVE else mode, "first start")
    known = read(state)
    assert isinstance(known, Commanded)
    if mode is Mode.ACTIVE:
        command(state, mode, "operator", known.lowering)
    with Journal(state / "journal.sqlite") as journal:
        journal.put({"mode": mode.value, "epoch": 7})
    for name in ("heartbeat.json", "guardian.json", "api.json", "lock", "guardian.lock"):
        (state / name).write_text("{}")
    for name in ("guardian.jsonl", "guardian.head.json"):
        (state / name).write_text("{}\n")


async def test_what_is_restored_begins_in_monitor_and_writes_above_every_epoch(tmp_path: Path) -> None:
    config = load_config(CONFIG)
    async with open_plant(replace(plant_config(config, CONFIG, NOON), free_ports=True)) as plant:
        here = at_addresses(config, {device.name: address(device) for device in plant.devices})
        state, again, clock = tmp_path / "state", tmp_path / "again", SteppedClock(NOON)
        setup = Setup(here, CONFIG, tmp_path / "run", state, patience_s=6.0, coordinate=False, guardian_s=STANDING_S)
        setup.folder.mkdir()
        async with living_guardian(setup, clock):
            Tokens.of(state)
            async with Service(setup, clock, WallClock()) as service:
                await service.set_mode(Mode.ACTIVE, who="operator")
                await cycles(service, clock, plant, 2)
                made = await asyncio.to_thread(back_up, state, tmp_path / "saved", clock.now())
                await service.set_mode(Mode.MONITOR)
                await service.set_mode(Mode.ACTIVE)
                await cycles(service, clock, plant, 2)
                plans, epoch = service.planning.plans.day_ahead, highest(plant)
        assert {"journal.sqlite", "tokens/operator", "tokens/viewer"} <= {file.name for file in made.files}
        restore(tmp_path / "saved", again)
        setup = replace(setup, state=again, folder=tmp_path / "next")
        setup.folder.mkdir()
        async with living_guardian(setup, clock), Service(setup, clock, WallClock()) as service:
            await service.begin()
            assert service.mode is Mode.MONITOR
            kept = service.planning.plans.day_ahead
            assert kept
            assert plans
            assert kept.plan_id == plans.plan_id
            await service.set_mode(Mode.ACTIVE, who="operator")
            await cycles(service, clock, plant, 2)
            assert highest(plant) > epoch
            assert plant.laboratory.recorder.tally.violations.total() == 0
    assert all(token_of(again, role) == token_of(state, role) for role in Role)


async def cycles(service: Service, clock: SteppedClock, plant: Plant, count: int) -> None:
    for _ in range(count):
        t_s = clock.monotonic_s() + 30.0
        clock.advance_to(t_s)
        await plant.advance(t_s)
        await service.cycle()


def highest(plant: Plant) -> int:
    return max(station.state.epoch for station in plant.laboratory.converters.values())


def test_tokens_keep_their_modes_and_nothing_of_living_processes_comes_along(tmp_path: Path) -> None:
    state, saved, again = tmp_path / "state", tmp_path / "saved", tmp_path / "again"
    small_state(state)
    back_up(state, saved, NOW)
    restore(saved, again)
    for folder in (saved, again):
        found = modes(folder)
        assert found["tokens"] == 0o700
        assert {mode for name, mode in found.items() if name.startswith("tokens/")} == {0o600}
        assert not {"heartbeat.json", "guardian.json", "api.json", "lock", "guardian.lock"} & found.keys()
        assert (folder / "guardian.jsonl").read_text() == (folder / "guardian.head.json").read_text() == "{}\n"


@pytest.mark.parametrize("mode", Mode)
def test_the_mode_is_no_higher_than_monitor_and_off_stays_off(mode: Mode, tmp_path: Path) -> None:
    small_state(tmp_path / "state", mode)
    back_up(tmp_path / "state", tmp_path / "saved", NOW)
    restore(tmp_path / "saved", tmp_path / "again")
    found = read(tmp_path / "again")
    assert isinstance(found, Commanded)
    assert found.mode is mode.at_most(Mode.MONITOR)
    assert mode is Mode.OFF or "restored from a backup of 2018-06-21 10:00 UTC" in found.why
    with Journal(tmp_path / "again" / "journal.sqlite") as journal:
        assert (journal.load("mode", str), journal.load("epoch", int)) == (mode.at_most(Mode.MONITOR), 7)


def test_a_folder_in_use_is_not_restored_over(tmp_path: Path) -> None:
    small_state(tmp_path / "state")
    back_up(tmp_path / "state", tmp_path / "saved", NOW)
    with pytest.raises(InputError, match="a folder that does not exist yet"):
        restore(tmp_path / "saved", tmp_path / "state")
    (tmp_path / "other").mkdir()
    with exclusive_lock(tmp_path / "other", "guardian.lock", "guardian"), pytest.raises(InputError):
        restore(tmp_path / "saved", tmp_path / "other")
    with pytest.raises(InputError, match="an empty one"):
        back_up(tmp_path / "state", tmp_path / "saved", NOW)


def altered(saved: Path, what: str) -> None:
    manifest = json.loads((saved / MANIFEST).read_text())
    match what:
        case "content":
            (saved / "guardian.jsonl").write_text("{}{}\n")
        case "missing":
            (saved / "journal.sqlite").unlink()
        case "outside":
            manifest["files"][0]["name"] = "../state/lock"
        case "version":
            manifest["schema_version"] = 2
        case "no journal":
            manifest["files"] = [file for file in manifest["files"] if file["name"] != "journal.sqlite"]
    (saved / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("what", ["content", "missing", "outside", "version", "no journal"])
def test_a_backup_that_is_not_as_it_was_made_is_refused(what: str, tmp_path: Path) -> None:
    small_state(tmp_path / "state")
    back_up(tmp_path / "state", tmp_path / "saved", NOW)
    altered(tmp_path / "saved", what)
    with pytest.raises(InputError, match="backup"):
        restore(tmp_path / "saved", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_no_file_is_restored_open_to_others(tmp_path: Path) -> None:
    small_state(tmp_path / "state")
    back_up(tmp_path / "state", tmp_path / "saved", NOW)
    path = tmp_path / "saved" / MANIFEST
    manifest = json.loads(path.read_text())
    for file in manifest["files"]:
        file["mode"] = 0o4777
    path.write_text(json.dumps(manifest))
    restore(tmp_path / "saved", tmp_path / "again")
    assert not any((tmp_path / "again" / file["name"]).stat().st_mode & 0o7137 for file in manifest["files"])


def test_a_folder_without_a_journal_is_no_state(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no readable journal"):
        back_up(tmp_path, tmp_path / "saved", NOW)
    assert not (tmp_path / "saved").exists()
