"""Journal and telemetry that somebody removes, replaces or damages while they are open."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from controller.process.failures import RecordError
from controller.record.database import open_database
from controller.record.journal import Journal
from controller.record.outbox import Counts, Outbox
from controller.record.telemetry import TABLES, Telemetry
from tests.support.cycle_records import cycle
from tests.support.time_series_servers import number, stored

POINTS = 43
"""Of a cycle."""


def _files(path: Path) -> list[Path]:
    return [file for suffix in ("", "-wal", "-shm") if (file := path.with_name(path.name + suffix)).exists()]


def _removed(path: Path) -> None:
    for file in _files(path):
        file.unlink()


def _main_removed(path: Path) -> None:
    path.unlink()


def _log_removed(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


def _renamed(path: Path) -> None:
    path.rename(path.with_suffix(".old"))


def _replaced(path: Path) -> None:
    _removed(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE other (x)")


def _emptied(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(FULL)")
    path.write_bytes(b"")


def _folder_moved(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))
    path.parent.mkdir()


TOUCHES = [_removed, _main_removed, _log_removed, _renamed, _replaced, _folder_moved]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state" / "some.sqlite"


@pytest.mark.parametrize("touch", TOUCHES)
def test_a_journal_is_written_again_from_memory(path: Path, touch: Callable[[Path], None]) -> None:
    with Journal(path) as journal:
        journal.put({"mode": "active", "epoch": 6})
        journal.put({"epoch": 7, "old": 1})
        journal.put({}, forget=["old"])
        assert journal.check() is None
        touch(path)
        said = journal.check() or ""
        assert said.startswith(path.name)
        assert said.endswith("; 2 records written again")
        assert journal.check() is None
        journal.put({"plan": "p"})
        assert (journal.get("mode"), journal.get("epoch"), journal.get("old")) == ("active", 7, None)
        assert journal.check() is None
    with Journal(path) as journal:
        assert (journal.get("mode"), journal.get("epoch"), journal.get("plan")) == ("active", 7, "p")
        assert journal.damaged == ()


@pytest.mark.parametrize("touch", TOUCHES)
def test_telemetry_begins_a_new_file_and_counts_what_waited(path: Path, touch: Callable[[Path], None]) -> None:
    with Telemetry(path, outbox=True) as telemetry:
        for k in range(3):
            telemetry.write(cycle(k))
        with closing(open_database(path, TABLES)) as connection:
            outbox = Outbox(path, connection)
            batch = outbox.next_batch(POINTS)
            assert batch is not None
            outbox.done(batch, POINTS, 0)
            assert telemetry.check() is None
            touch(path)
            assert (telemetry.check() or "").startswith(path.name)
        assert telemetry.check() is None, "a connection to the old file that closes later does no harm"
        telemetry.write(cycle(3))
        assert telemetry.check() is None
        with closing(open_database(path, TABLES)) as connection:
            counts = Outbox(path, connection).counts()
    assert number(stored(path)) == POINTS
    assert (counts.sent, counts.backlog) == (POINTS, POINTS)
    assert counts == Counts(POINTS, POINTS, 2 * POINTS)


def test_telemetry_that_was_emptied_or_overwritten_begins_anew(path: Path) -> None:
    with Telemetry(path) as telemetry:
        telemetry.write(cycle(0))
        _emptied(path)
        assert telemetry.check()
        telemetry.write(cycle(1))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        path.write_bytes(b"\xff" * path.stat().st_size)
        with pytest.raises(RecordError):
            telemetry.write(cycle(2))
        assert "damaged" in (telemetry.check() or "")
        telemetry.write(cycle(3))
    assert number(stored(path)) == POINTS


def test_a_folder_that_cannot_be_written_is_an_error_and_is_tried_again(path: Path) -> None:
    with Journal(path) as journal:
        journal.put({"epoch": 7})
        shutil.rmtree(path.parent)
        path.parent.touch()
        for _ in range(2):
            with pytest.raises(RecordError):
                journal.check()
        path.parent.unlink()
        assert journal.check()
        journal.put({"epoch": 8})
    with Journal(path) as journal:
        assert journal.get("epoch") == 8
