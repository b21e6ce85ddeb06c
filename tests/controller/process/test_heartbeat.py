"""The files between service and guardian: whole, or not believed."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.process.failures import RecordError
from controller.process.heartbeat import (
    HEARTBEAT,
    TAKEOVER,
    Heartbeat,
    NoHeartbeat,
    Released,
    Takeover,
    boot_id,
    read_heartbeat,
    read_takeover,
)
from controller.process.modes import Mode
from core.devices import Outcome

NOON = datetime(2018, 6, 21, 12, tzinfo=UTC)
BEAT = Heartbeat(7, Mode.ACTIVE, NOON, 1234.5, "boot")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@given(
    epoch=st.integers(0, 2**32),
    mode=st.sampled_from(Mode),
    monotonic_s=st.floats(0, 1e9),
    boot=st.none() | st.text(),
    at=st.datetimes(timezones=st.just(UTC)),
)
def test_what_was_written_is_read(
    state: Path, epoch: int, mode: Mode, monotonic_s: float, boot: str | None, at: datetime
) -> None:
    beat = Heartbeat(epoch, mode, at, monotonic_s, boot)
    beat.write(state)
    assert read_heartbeat(state) == beat


@given(data=st.binary(max_size=200))
def test_garbage_is_damaged(state: Path, data: bytes) -> None:
    (state / HEARTBEAT).write_bytes(data)
    assert read_heartbeat(state) is NoHeartbeat.DAMAGED


def test_every_torn_heartbeat_is_damaged(tmp_path: Path) -> None:
    BEAT.write(tmp_path)
    whole = (tmp_path / HEARTBEAT).read_bytes()
    for length in range(len(whole)):
        (tmp_path / HEARTBEAT).write_bytes(whole[:length])
        assert read_heartbeat(tmp_path) is NoHeartbeat.DAMAGED


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": -1},
        {"epoch": 7.0},
        {"epoch": True},
        {"mode": "remote"},
        {"at": "2018-06-21T12:00:00"},
        {"monotonic_s": "nan"},
        {"monotonic_s": "inf"},
        {"monotonic_s": None},
        {"schema_version": 2},
        {"more": 1},
    ],
)
def test_a_foreign_heartbeat_is_damaged(tmp_path: Path, change: dict[str, object]) -> None:
    BEAT.write(tmp_path)
    path = tmp_path / HEARTBEAT
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert read_heartbeat(tmp_path) is NoHeartbeat.DAMAGED


def test_missing_is_not_damaged(tmp_path: Path) -> None:
    assert read_heartbeat(tmp_path) is NoHeartbeat.MISSING
    (tmp_path / HEARTBEAT).mkdir()
    assert read_heartbeat(tmp_path) is NoHeartbeat.DAMAGED


def test_a_disk_that_does_not_let_us(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"heartbeat\.json: No such file or directory"):
        BEAT.write(tmp_path / "nowhere")


def test_a_reader_never_meets_half_a_heartbeat(tmp_path: Path) -> None:
    BEAT.write(tmp_path)
    done = threading.Event()

    def beating() -> None:
        for k in range(500):
            Heartbeat(k, Mode.ACTIVE, NOON, float(k), "boot" * (k % 50)).write(tmp_path)
        done.set()

    writer = threading.Thread(target=beating)
    writer.start()
    found = []
    while not done.is_set():
        found.append(read_heartbeat(tmp_path))
    writer.join()
    assert {type(beat) for beat in found} == {Heartbeat}


def test_takeover(tmp_path: Path) -> None:
    assert read_takeover(tmp_path) is None
    outcomes = {"n3_converter": Outcome.VERIFIED, "n4_converter": Outcome.UNKNOWN}
    released = Released(NOON, 1.5, -0.5, 61.0, 8)
    takeover = Takeover(7, 8, NOON, outcomes, {"n3_converter": released}, "boot")
    takeover.write(tmp_path)
    assert read_takeover(tmp_path) == takeover
    (tmp_path / TAKEOVER).write_text((tmp_path / TAKEOVER).read_text().replace("61.0", "NaN"))
    assert read_takeover(tmp_path) is None
    (tmp_path / TAKEOVER).write_text("{")
    assert read_takeover(tmp_path) is None


def test_boot_id_stays(tmp_path: Path) -> None:
    assert boot_id() == boot_id()
