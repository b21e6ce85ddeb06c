"""The journal gives back the last good record, or none, whatever happened to its file."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.process.failures import RecordError
from controller.record.database import set_aside
from controller.record.journal import Journal
from core.codec import CodecError
from realtime.emulation import BatteryState
from realtime.node import NodeState
from tests.support.disks import as_after_power_loss, child, full_disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def spoil(path: Path, generation: int) -> None:
    """Change one character of a record in passing, as a bad sector would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE record SET value = CAST(value || ' ' AS BLOB) WHERE generation = ?", (generation,))


def test_the_newest_record_comes_back(path: Path) -> None:
    states = {"N3": NodeState(BatteryState(0.5))}
    with Journal(path) as journal:
        assert journal.get("mode") is None
        journal.put({"mode": "active", "nodes": states})
        journal.put({"mode": "monitor"}, durable=False)
        assert journal.get("mode") == "monitor"
    with Journal(path) as journal:
        assert journal.get("mode") == "monitor"
        assert journal.load("nodes", dict[str, NodeState]) == states
        assert journal.damaged == ()


def test_what_is_forgotten_is_gone_with_all_generations(path: Path) -> None:
    with Journal(path) as journal:
        for k in range(3):
            journal.put({"a": k, "b": k})
        journal.put({"c": 1}, forget=["a", "unknown"])
        assert (journal.get("a"), journal.get("b"), journal.get("c")) == (None, 2, 1)
        journal.put({"a": 9})
    with Journal(path) as journal:
        assert (journal.get("a"), journal.damaged) == (9, ())


def test_two_generations_are_kept(path: Path) -> None:
    with Journal(path) as journal:
        for k in range(5):
            journal.put({"a": k, "b": -k})
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT key, generation, value FROM record ORDER BY key, generation").fetchall()
    assert rows == [("a", 4, b"3"), ("a", 5, b"4"), ("b", 4, b"-3"), ("b", 5, b"-4")]


def test_a_bad_record_gives_way_to_the_one_before(path: Path) -> None:
    with Journal(path) as journal:
        for k in range(3):
            journal.put({"a": k})
    spoil(path, 3)
    with Journal(path) as journal:
        assert journal.get("a") == 1
        assert journal.damaged == (f"{path}: 1 of 2 records fail their checksum",)
        journal.put({"a": 9})
        assert journal.get("a") == 9
    with Journal(path) as journal:
        assert journal.damaged == ()


def test_a_good_record_survives_the_overwriting_of_a_bad_one(path: Path) -> None:
    with Journal(path) as journal:
        for k in range(3):
            journal.put({"a": k})
    spoil(path, 3)
    with Journal(path) as journal:
        journal.put({"a": 9})
    spoil(path, 3)
    with Journal(path) as journal:
        assert journal.get("a") == 1


def test_without_a_good_record_there_is_none(path: Path) -> None:
    with Journal(path) as journal:
        journal.put({"a": 0})
        journal.put({"a": 1})
    spoil(path, 1)
    spoil(path, 2)
    with Journal(path) as journal:
        assert journal.get("a") is None
        assert "2 of 2" in journal.damaged[0]


@dataclass(frozen=True)
class Before:
    mode: str


@dataclass(frozen=True)
class After:
    mode: str
    epoch: int


def test_a_record_of_another_version_is_none(path: Path) -> None:
    with Journal(path) as journal:
        journal.put({"cycle": After("active", 3)})
        journal.put({"cycle": Before("off")})
        assert journal.load("cycle", Before) == Before("off")
        assert journal.load("cycle", After) == After("active", 3)
        assert "cycle, generation 2: After: got" in journal.damaged[0]
        assert journal.load("cycle", int) is None


@pytest.mark.parametrize(
    "garbage", [b"this is no database" * 300, b"\0" * 8192, b"x", b"SQLite format 3\0" + b"x" * 84]
)
def test_a_file_that_is_no_database_is_set_aside(path: Path, garbage: bytes) -> None:
    path.write_bytes(garbage)
    with Journal(path) as journal:
        assert journal.get("a") is None
        (report,) = journal.damaged
        assert "set aside as journal.sqlite.aside-1, 0 records saved" in report
        journal.put({"a": 1})
    assert path.with_name("journal.sqlite.aside-1").read_bytes() == garbage
    with Journal(path) as journal:
        assert (journal.get("a"), journal.damaged) == (1, ())


def test_damage_that_hurts_no_record_yet_is_found(path: Path) -> None:
    """The count of free pages in the header is wrong: reading works, a later commit would write over a page in use."""
    with Journal(path) as journal:
        journal.put({"a": 1})
    content = path.read_bytes()
    path.write_bytes(content[:36] + (5).to_bytes(4, "big") + content[40:])
    with Journal(path) as journal:
        assert "reelist" in journal.damaged[0]
        assert "1 records saved" in journal.damaged[0]
        assert journal.get("a") == 1


def test_a_log_goes_with_its_database(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).write_text(suffix)
    aside = set_aside(path)
    assert {file.name: file.read_text() for file in aside.parent.iterdir()} == {
        f"journal.sqlite.aside-1{suffix}": suffix for suffix in ("", "-wal", "-shm")
    }


def test_files_set_aside_are_never_overwritten(path: Path) -> None:
    for k in (1, 2):
        path.write_bytes(b"garbage" * k)
        with Journal(path) as journal:
            assert f"aside-{k}," in journal.damaged[0]
    assert path.with_name("journal.sqlite.aside-1").read_bytes() == b"garbage"


def test_a_journal_of_another_schema_is_set_aside(path: Path) -> None:
    with Journal(path) as journal:
        journal.put({"a": 1})
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = 2")
    with Journal(path) as journal:
        assert "schema_version 2, allowed 1" in journal.damaged[0]


def test_a_file_that_is_damaged_while_open_is_replaced_without_an_error(path: Path) -> None:
    with Journal(path) as journal:
        journal.put({"a": "x" * 50_000})
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = path.stat().st_size
        path.write_bytes(b"\xff" * size)
        journal.put({"a": 2, "b": 3})
        assert (journal.get("a"), journal.get("b")) == (2, 3)
        assert "set aside" in journal.damaged[0]


def test_a_full_disk_leaves_the_last_records(path: Path) -> None:
    with Journal(path) as journal:
        journal.put({"a": 1})
        with full_disk(64 << 10), pytest.raises(RecordError, match=r"journal\.sqlite"):
            journal.put({"a": "x" * 1_000_000})
        assert journal.get("a") == 1
        journal.put({"a": 2})
        assert journal.get("a") == 2
        assert journal.damaged == ()


def test_what_has_no_form_changes_nothing(path: Path) -> None:
    with Journal(path) as journal:
        journal.put({"a": 1})
        with pytest.raises(CodecError):
            journal.put({"a": 2, "b": object()})
        assert journal.get("a") == 1


def test_a_journal_that_another_process_holds_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.record.database.BUSY_S", 0.01)
    with Journal(path) as journal, closing(sqlite3.connect(path, isolation_level=None)) as other:
        journal.put({"a": 1})
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RecordError, match="locked"):
            journal.put({"a": 2})
        with pytest.raises(RecordError, match="locked"), Journal(path):
            pass
        other.execute("ROLLBACK")
        journal.put({"a": 3})
        assert journal.damaged == ()


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of a journal after a crash: pages in the database and later ones in its log."""
    folder = tmp_path_factory.mktemp("crashed")
    path = folder / "journal.sqlite"
    with Journal(path) as journal:
        for k in range(4):
            journal.put({"plan": [k] * 3000, "nodes": k})
    with Journal(path) as journal:
        for k in range(4, 8):
            journal.put({"plan": [k] * 3000, "nodes": k})
        copy = as_after_power_loss(path, folder / "copy")
        return {file.name: file.read_bytes() for file in copy.parent.iterdir()}


@settings(deadline=None, max_examples=50)
@given(
    name=st.sampled_from(["journal.sqlite", "journal.sqlite-wal"]),
    place=st.floats(0, 1),
    junk=st.one_of(st.none(), st.binary(min_size=1, max_size=200)),
)
def test_no_damage_stops_the_service(crashed: dict[str, bytes], name: str, place: float, junk: bytes | None) -> None:
    """Torn at any byte, or with junk anywhere: a record that was put comes back, or none."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite"
        for file, content in crashed.items():
            at = int(place * len(content))
            damaged = content[:at] + (junk + content[at + len(junk) :] if junk else b"")
            path.with_name(file).write_bytes(damaged if file == name else content)
        with Journal(path) as journal:
            assert journal.get("nodes") in (None, *range(8))
            assert journal.get("plan") in (None, *([k] * 3000 for k in range(8)))
            journal.put({"plan": 1, "nodes": 2})
        with Journal(path) as journal:
            assert (journal.get("plan"), journal.get("nodes")) == (1, 2)


def test_a_torn_log_costs_commits_but_not_the_records_before(crashed: dict[str, bytes], tmp_path: Path) -> None:
    found = set()
    log = crashed["journal.sqlite-wal"]
    for at in range(0, len(log), 2000):
        path = tmp_path / f"{at}.sqlite"
        path.write_bytes(crashed["journal.sqlite"])
        path.with_name(f"{at}.sqlite-wal").write_bytes(log[:at])
        with Journal(path) as journal:
            found.add(journal.get("nodes"))
            assert journal.get("plan") == [journal.get("nodes")] * 3000
            assert journal.damaged == ()
    assert found >= {3, 4, 5, 6}
    assert None not in found


def test_good_records_are_saved_from_a_damaged_file(path: Path) -> None:
    with Journal(path) as journal:
        journal.put({f"k{n:02}": [n] * 500 for n in range(20)})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + b"\xaa" * 4096 + content[len(content) // 2 + 4096 :])
    with Journal(path) as journal:
        values = [journal.get(f"k{n:02}") for n in range(20)]
    assert all(value in (None, [n] * 500) for n, value in enumerate(values))
    assert any(values)


WRITER = """
import sys, pathlib, itertools
from controller.record.journal import Journal
with Journal(pathlib.Path(sys.argv[1])) as journal:
    first = (journal.get("a") or 0) + 1
    for n in itertools.count(first):
        journal.put({"a": n, "b": n, "pad": "x" * 30_000}, durable=n % 2 == 0)
        print(n, flush=True)
"""


def test_a_process_killed_while_it_writes_leaves_its_last_commit(path: Path) -> None:
    last = 0
    for commits in (1, 40, 97):
        with child(WRITER, path) as process:
            assert process.stdout is not None
            told = [int(process.stdout.readline()) for _ in range(commits)]
            process.kill()
            told += [int(line) for line in process.stdout.read().split("\n")[:-1]]
        assert told[0] == last + 1
        with Journal(path) as journal:
            last = journal.load("a", int) or 0
            assert journal.get("b") == last
            assert last - told[-1] in (0, 1)
            assert journal.damaged == ()


def test_it_is_not_closed_under_a_thread_that_reads(path: Path) -> None:
    """SQLite crashes where it is; whoever reads later gets an error."""

    def read(journal: Journal) -> None:
        while journal.get("a") == "a":
            pass

    with ThreadPoolExecutor(4) as threads:
        for _ in range(100):
            with Journal(path) as journal:
                journal.put({"a": "a"})
                readers = [threads.submit(read, journal) for _ in range(4)]
            for reader in readers:
                with pytest.raises(RecordError, match="not open"):
                    reader.result()
