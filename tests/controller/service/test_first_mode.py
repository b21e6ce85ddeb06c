"""In which mode a service begins, by what was commanded, the age of the absence, and the starts before."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.process.age import BootClock
from controller.process.clocks import SteppedClock
from controller.process.commanded import Commanded, NoCommand
from controller.process.heartbeat import HEARTBEAT
from controller.process.modes import Mode
from controller.record.journal import Journal
from controller.service.costs import Costs
from controller.service.first_mode import first_mode, unrecorded_mode
from controller.service.memory import CRASHES, RESUME_WITHIN_S, KeptCycle, Memory
from mpc.margin import Margin

NOON = datetime(2018, 6, 21, 12, tzinfo=UTC)


@contextmanager
def memory(folder: Path, at_s: float, boot: str = "first", *, synchronised: bool = False) -> Iterator[Memory]:
    """Of a service that begins at that time since noon, when every boot was."""
    clock = SteppedClock(NOON)
    clock.advance_to(at_s)
    with Journal(folder / "journal.sqlite") as journal:
        yield Memory(journal, BootClock(clock, boot, lambda: synchronised), "owner", durable=False)


def lived(folder: Path, at_s: float, *, synchronised: bool = False) -> None:
    """A service had its last cycle then."""
    with memory(folder, at_s, synchronised=synchronised) as mine:
        mine.keep_cycle(KeptCycle(NOON, {}, Costs.none(NOON), mine.stamp()), Margin.unlearned(8))


def begun(
    folder: Path, at_s: float, mode: Mode = Mode.ACTIVE, boot: str = "first", *, synchronised: bool = False
) -> Mode:
    with memory(folder, at_s, boot, synchronised=synchronised) as mine:
        return first_mode(Commanded(mode, "operator", "1"), mine).mode


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.MONITOR])
def test_a_lower_mode_stays_however_short_the_absence(tmp_path: Path, mode: Mode) -> None:
    lived(tmp_path, 0.0)
    assert begun(tmp_path, 1.0, mode) is mode


def test_active_is_resumed_within_fifteen_minutes_of_a_boot(tmp_path: Path) -> None:
    lived(tmp_path, 100.0)
    assert begun(tmp_path, 100.0 + RESUME_WITHIN_S) is Mode.ACTIVE
    assert begun(tmp_path, 101.0 + RESUME_WITHIN_S) is Mode.MONITOR


@pytest.mark.parametrize(("then", "now"), [(True, False), (False, True), (False, False)])
def test_after_a_reboot_a_clock_that_nobody_has_set_resumes_nothing(tmp_path: Path, then: bool, now: bool) -> None:
    lived(tmp_path, 0.0, synchronised=then)
    assert begun(tmp_path, 60.0, boot="second", synchronised=now) is Mode.MONITOR


def test_after_a_reboot_synchronised_clocks_tell_the_absence(tmp_path: Path) -> None:
    lived(tmp_path, 0.0, synchronised=True)
    assert begun(tmp_path, RESUME_WITHIN_S, boot="second", synchronised=True) is Mode.ACTIVE
    assert begun(tmp_path, RESUME_WITHIN_S + 1.0, boot="second", synchronised=True) is Mode.MONITOR


def test_without_a_cycle_on_record_nothing_is_resumed(tmp_path: Path) -> None:
    assert begun(tmp_path, 1.0) is Mode.MONITOR


def test_a_crash_loop_ends_in_monitor_with_an_alarm(tmp_path: Path) -> None:
    lived(tmp_path, 0.0)
    assert [begun(tmp_path, 10.0 * k) for k in range(CRASHES)] == [Mode.ACTIVE] * CRASHES
    with memory(tmp_path, 10.0 * CRASHES) as mine:
        found = first_mode(Commanded(Mode.ACTIVE, "operator", "1"), mine)
    assert (found.mode, set(found.alarms)) == (Mode.MONITOR, {"crash loop"})


def test_crashes_across_reboots_count_although_their_age_is_unknown(tmp_path: Path) -> None:
    """A computer that loses its time and reboots: starts count until it has been on for longer than fifteen minutes."""
    for k in range(CRASHES):
        with memory(tmp_path, 60.0, f"boot {k}") as mine:
            assert not mine.crash_loop()
    with memory(tmp_path, 60.0, "last boot") as mine:
        assert mine.crash_loop()
    with memory(tmp_path, 1000.0, "last boot") as mine:
        assert not mine.crash_loop(), "all but the start of this boot are old"


@pytest.mark.parametrize("found", list(NoCommand))
def test_a_record_that_is_damaged_or_gone_from_a_used_folder_means_off(tmp_path: Path, found: NoCommand) -> None:
    lived(tmp_path, 0.0)
    with memory(tmp_path, 1.0) as mine:
        first = unrecorded_mode(found, mine, tmp_path)
        assert first_mode(found, mine).mode is Mode.OFF
    assert (first.mode, set(first.alarms)) == (Mode.OFF, {"damaged"})


def test_a_folder_with_a_heartbeat_has_been_used_whatever_became_of_its_journal(tmp_path: Path) -> None:
    with memory(tmp_path, 1.0) as mine:
        new = unrecorded_mode(NoCommand.MISSING, mine, tmp_path)
        assert (new.mode, new.alarms) == (Mode.MONITOR, {})
        (tmp_path / HEARTBEAT).write_text("{}")
        assert unrecorded_mode(NoCommand.MISSING, mine, tmp_path).mode is Mode.OFF


@pytest.mark.parametrize(
    ("older", "first"), [(Mode.OFF, Mode.OFF), (Mode.MONITOR, Mode.MONITOR), (Mode.ACTIVE, Mode.MONITOR)]
)
def test_the_journal_of_an_older_version_binds_to_monitor_at_most(tmp_path: Path, older: Mode, first: Mode) -> None:
    lived(tmp_path, 0.0)
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.put({"mode": older})
    with memory(tmp_path, 1.0) as mine:
        assert unrecorded_mode(NoCommand.MISSING, mine, tmp_path).mode is first
        mine.forget_older_mode()
        assert mine.older_mode() is None
