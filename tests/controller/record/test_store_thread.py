"""The thread of a store: order, deadlines, a bounded queue, an end that drains, and one fsync for many records."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.process.failures import RecordError
from controller.record import store_thread
from controller.record.audit import AuditTrail
from controller.record.audit_lines import read_audit
from controller.record.store_thread import WAITING_MAX, LateRecordError, StoreThread

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


def slowly(seconds: float, then: Callable[[], None] = lambda: None) -> Callable[[], None]:
    def write() -> None:
        time.sleep(seconds)
        then()

    return write


async def test_writes_keep_their_order_and_the_loop_does_not_wait() -> None:
    done: list[int] = []
    async with StoreThread("journal") as thread:
        begun_s = time.monotonic()
        for k in range(20):
            thread.request(slowly(0.01, lambda k=k: done.append(k)))
        assert time.monotonic() - begun_s < 0.05
        await thread.settled()
        assert done == list(range(20))
        assert await thread.done(threading.get_ident) != threading.get_ident()


async def test_a_late_write_is_an_error_and_made_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []
    async with StoreThread("journal") as thread:
        with pytest.raises(LateRecordError, match=r"journal: not on the disk within 0\.02 s"):
            await thread.done(slowly(0.1, lambda: done.append("late")), within_s=0.02)
        assert not done
        await thread.settled()
        assert done == ["late"]
    assert not caplog.records


async def test_in_virtual_time_a_slow_disk_is_waited_for() -> None:
    async with StoreThread("journal", patient=True) as thread:
        await thread.done(slowly(0.05), within_s=0.001)


async def test_a_failure_stands_until_a_write_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    def full() -> None:
        raise RecordError("disk full")

    caplog.set_level(logging.INFO)
    async with StoreThread("journal") as thread:
        for _ in range(3):
            thread.request(full)
        await thread.settled()
        assert thread.failure == "disk full"
        await thread.done(lambda: None)
        assert thread.failure == ""
    assert [record.getMessage() for record in caplog.records] == ["journal lost: disk full", "journal back"]


async def test_a_defect_is_logged_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    async with StoreThread("journal") as thread:
        thread.request(lambda: 1 / 0)
        await thread.settled()
        assert "division" in thread.failure
    assert caplog.records[0].exc_info


async def test_only_so_many_may_wait() -> None:
    let_go, done = threading.Event(), list[int]()
    async with StoreThread("journal") as thread:
        thread.request(let_go.wait)
        for k in range(WAITING_MAX - 1):
            thread.request(lambda k=k: done.append(k))
        assert thread.full
        with pytest.raises(RecordError, match=f"{WAITING_MAX} records that wait"):
            await thread.done(lambda: done.append(-1))
        let_go.set()
        await thread.settled()
        assert done == list(range(WAITING_MAX - 1))


async def test_a_slow_disk_is_a_failure_while_records_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_thread, "LATE_S", 0.02)
    async with StoreThread("journal") as thread:
        thread.request(slowly(0.1))
        await asyncio.sleep(0.05)
        assert "the disk is slow: 1 records wait" in thread.failure
        await thread.settled()
        assert thread.failure == ""


async def test_the_end_waits_for_what_is_queued_then_closes_the_store() -> None:
    done: list[str] = []

    @contextmanager
    def store():
        yield "store"
        done.append("closed")

    async with StoreThread("journal") as thread:
        assert await thread.enter(store()) == "store"
        for k in range(3):
            thread.request(slowly(0.02, lambda k=k: done.append(f"{k}")))
    assert done == ["0", "1", "2", "closed"]
    with pytest.raises(RecordError, match="is closed"):
        await thread.request(lambda: None)


async def test_the_end_gives_up_on_a_disk_that_does_not_respond(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_thread, "DRAIN_S", 0.05)
    let_go = threading.Event()
    async with StoreThread("journal") as thread:
        thread.request(let_go.wait)
    let_go.set()
    assert "2 records are not written" in caplog.text


async def test_audit_records_that_wait_share_one_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trail, syncs, real = AuditTrail(tmp_path / "audit.jsonl"), list[int](), os.fsync
    let_go = threading.Event()

    def fsync(descriptor: int) -> None:
        syncs.append(descriptor)
        let_go.wait(5.0)
        real(descriptor)

    async with StoreThread("audit trail", together=trail.together) as thread:
        await thread.enter(trail)
        monkeypatch.setattr(os, "fsync", fsync)
        first = thread.request(lambda: trail.note(AT, "first", ""))
        while not syncs:
            await asyncio.sleep(0.001)
        others = [thread.request(lambda k=k: trail.note(AT, f"{k}", "")) for k in range(10)]
        assert not first.done(), "a record counts once it is on the disk"
        let_go.set()
        await asyncio.gather(first, *others)
        assert len(syncs) == 2
    records = list(read_audit(tmp_path / "audit.jsonl"))
    assert [(record.seq, record.event) for record in records] == [(1, "first"), *((k + 2, f"{k}") for k in range(10))]


async def test_all_that_shared_a_failed_fsync_have_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trail = AuditTrail(tmp_path / "audit.jsonl")

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    async with StoreThread("audit trail", together=trail.together) as thread:
        await thread.enter(trail)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", broken)
            requested = [thread.request(lambda: trail.note(AT, "lost", "")) for _ in range(3)]
            results = await asyncio.gather(*requested, return_exceptions=True)
        assert all(isinstance(result, RecordError) for result in results)
        await thread.done(lambda: trail.note(AT, "kept", ""))
