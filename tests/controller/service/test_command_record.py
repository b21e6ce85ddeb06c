"""The commanded mode beside a running service: its file vanishes, others lower it, the disk refuses."""

from pathlib import Path

import pytest

from controller.process.commanded import COMMANDED, Commanded, lower, read
from controller.process.failures import RecordError
from controller.process.modes import Mode
from controller.service.command_record import CommandRecord
from tests.support.disks import full_disk


def on_disk(state: Path) -> Mode:
    found = read(state)
    assert isinstance(found, Commanded)
    return found.mode


def alarms(record: CommandRecord) -> set[str]:
    return {finding.kind for finding in record.findings()}


async def raised(state: Path, mode: Mode) -> CommandRecord:
    """The record of a service in that mode."""
    lower(state, Mode.OFF, "first start")
    record = CommandRecord(state)
    await record.command(mode, "operator", await record.ticket())
    assert on_disk(state) is mode
    return record


@pytest.mark.parametrize("mode", [Mode.MONITOR, Mode.ACTIVE])
@pytest.mark.parametrize("damaged", [False, True])
async def test_a_file_that_vanishes_while_running_is_made_again(tmp_path: Path, mode: Mode, damaged: bool) -> None:
    record = await raised(tmp_path, mode)
    if damaged:
        (tmp_path / COMMANDED).write_bytes(b"\0" * 1024)
    else:
        (tmp_path / COMMANDED).unlink()
    assert await record.allowed(mode) is mode
    assert on_disk(tmp_path) is mode
    assert alarms(record) == {"damaged"}


async def test_what_another_process_lowers_is_obeyed(tmp_path: Path) -> None:
    record = await raised(tmp_path, Mode.ACTIVE)
    assert await record.allowed(Mode.ACTIVE) is Mode.ACTIVE
    ticket = await record.ticket()
    lower(tmp_path, Mode.MONITOR, "emergency stop")
    assert await record.allowed(Mode.ACTIVE) is Mode.MONITOR
    with pytest.raises(RecordError):
        await record.command(Mode.ACTIVE, "operator", ticket)
    assert on_disk(tmp_path) is Mode.MONITOR


async def test_a_lowering_that_no_disk_takes_is_owed_and_refuses_active(tmp_path: Path) -> None:
    record = await raised(tmp_path, Mode.ACTIVE)
    path, away = tmp_path / COMMANDED, tmp_path.with_name(f"{tmp_path.name}-away")
    tmp_path.rename(away)
    await record.lower(Mode.MONITOR, "operator")
    assert alarms(record) == {"lost"}
    with pytest.raises(RecordError):
        await record.order(Mode.ACTIVE)
    away.rename(tmp_path)
    assert on_disk(tmp_path) is Mode.ACTIVE, "nothing was written"
    assert await record.allowed(Mode.MONITOR) is Mode.MONITOR
    assert (on_disk(tmp_path), path.exists(), alarms(record)) == (Mode.MONITOR, True, set())
    await record.command(Mode.ACTIVE, "operator", await record.ticket())


async def test_a_full_disk_takes_a_lowering(tmp_path: Path) -> None:
    record = await raised(tmp_path, Mode.ACTIVE)
    with full_disk(1):
        await record.lower(Mode.MONITOR, "operator")
        assert (on_disk(tmp_path), alarms(record)) == (Mode.MONITOR, set())
    assert await record.allowed(Mode.MONITOR) is Mode.MONITOR
    assert [path.name for path in tmp_path.iterdir()] == [COMMANDED]
