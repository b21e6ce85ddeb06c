"""Writes to devices while the disk of the audit trail is slow: setpoints wait for it, releases hardly, others never."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from pathlib import Path

import pytest

from controller.process.clocks import WallClock
from controller.process.failures import RecordError
from controller.record.audit import Attempt, AuditTrail
from controller.record.audit_lines import ATTEMPTED, AuditWrite, read_audit
from controller.record.store_thread import LateRecordError, StoreThread
from controller.service import writer as writer_module
from controller.service.doubts import Doubts
from controller.service.writer import Writer
from controller.stop.order import StopSwitch
from core.devices import Outcome, Setpoint
from realtime.cycle import CycleDecision, decide
from realtime.doubt import Doubt, DoubtKind
from tests.support.service_bench import bench, midsummer, modbus_only, selfish_plans

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
SETPOINT = Setpoint(1.0, 0.5, 75.0)


@dataclass
class Disk:
    """Every fsync of this process takes ``fsync_s``, or until it is freed."""

    fsync_s: float = 0.0
    stuck: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    slow, real = Disk(), os.fsync

    def fsync(descriptor: int) -> None:
        if slow.fsync_s:
            slow.stuck.wait(slow.fsync_s)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    yield slow
    slow.stuck.set()


@dataclass
class Device:
    """What was sent to a device, and when."""

    sent: list[tuple[Setpoint | None, float]] = field(default_factory=list)

    async def write(self, setpoint: Setpoint) -> Outcome:
        self.sent.append((setpoint, time.monotonic()))
        return Outcome.VERIFIED

    async def release(self) -> Outcome:
        self.sent.append((None, time.monotonic()))
        return Outcome.VERIFIED


@asynccontextmanager
async def writing(path: Path, devices: Mapping[str, Device]) -> AsyncIterator[Writer]:
    audit = AuditTrail(path)
    async with StoreThread("audit trail", together=audit.together) as thread:
        await thread.enter(audit)
        yield Writer(devices, audit, thread, WallClock(), Doubts(modbus_only(), 1), StopSwitch().permit())


def attempts(*names: str) -> dict[str, Attempt]:
    return {name: Attempt(name, 1.0, 0.5, "use mpc", "plan") for name in names}


def lines(path: Path) -> list[tuple[int, str, str]]:
    return [(line.seq, line.device, line.outcome) for line in read_audit(path) if isinstance(line, AuditWrite)]


async def test_a_setpoint_waits_for_its_record_and_the_loop_goes_on(tmp_path: Path, disk: Disk) -> None:
    devices, path = {"a": Device()}, tmp_path / "audit.jsonl"
    async with writing(path, devices) as writer:
        disk.fsync_s, begun_s, gaps = 0.4, time.monotonic(), list[float]()

        async def ticking() -> None:
            while True:
                at_s = time.monotonic()
                await asyncio.sleep(0.01)
                gaps.append(time.monotonic() - at_s)

        ticks = asyncio.create_task(ticking())
        outcomes = await writer.write(AT, attempts("a"), {"a": SETPOINT}, inf)
        ticks.cancel()
        ((setpoint, sent_s),) = devices["a"].sent
        assert (outcomes, setpoint) == ({"a": Outcome.VERIFIED}, SETPOINT)
        assert sent_s - begun_s >= 0.4, "sent before its record was on the disk"
        assert max(gaps) < 0.25, "the disk has stopped the event loop"
    assert lines(path) == [(1, "a", ATTEMPTED), (1, "a", "verified")]


async def test_a_setpoint_whose_record_is_late_is_not_sent_and_the_trail_says_so(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.record.store_thread.StoreThread.ended.__defaults__", (0.1,))
    devices, path = {"a": Device(), "b": Device()}, tmp_path / "audit.jsonl"
    async with writing(path, devices) as writer:
        disk.fsync_s = 0.5
        with pytest.raises(LateRecordError, match="audit trail: not on the disk within 0.1 s"):
            await writer.write(AT, attempts("a", "b"), {"a": SETPOINT, "b": SETPOINT}, inf)
    assert not devices["a"].sent
    assert not devices["b"].sent
    assert lines(path) == [
        (1, "a", ATTEMPTED), (2, "b", ATTEMPTED), (1, "a", "rejected"), (2, "b", "rejected"),
    ]  # fmt: skip


async def test_a_release_hardly_waits_and_is_recorded_afterwards(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    devices, path = {"a": Device(), "b": Device()}, tmp_path / "audit.jsonl"
    async with writing(path, devices) as writer:
        disk.fsync_s, begun_s = 3.0, time.monotonic()
        outcomes = await writer.release("emergency stop", devices)
        assert time.monotonic() - begun_s < writer_module.RELEASE_RECORD_S + 0.3
        assert outcomes == {"a": Outcome.VERIFIED, "b": Outcome.VERIFIED}
        assert [setpoint for setpoint, _ in devices["a"].sent + devices["b"].sent] == [None, None]
        assert not [line for line in lines(path) if line[2] != ATTEMPTED], "the outcome comes when the disk responds"
        disk.stuck.set()
    assert "released without a record: audit trail: not on the disk within 0.5 s" in caplog.text
    assert lines(path) == [
        (1, "a", ATTEMPTED), (2, "b", ATTEMPTED), (1, "a", "verified"), (2, "b", "verified"),
    ]  # fmt: skip


async def test_a_release_in_a_cycle_does_not_wait_with_its_setpoints(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "RELEASE_RECORD_S", 0.05)
    devices, path = {"doubted": Device(), "sound": Device()}, tmp_path / "audit.jsonl"
    async with writing(path, devices) as writer:
        disk.fsync_s, begun_s = 0.5, time.monotonic()
        both = {"doubted": Attempt("doubted", None, None, "lying: text", ""), **attempts("sound")}
        await writer.write(AT, both, {"sound": SETPOINT}, inf)
    assert devices["doubted"].sent[0][1] - begun_s < 0.3
    assert devices["sound"].sent[0][1] - begun_s >= 0.5
    assert lines(path)[2:] == [(1, "doubted", "verified"), (2, "sound", "verified")]


async def test_a_release_on_a_full_disk_is_recorded_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, path, real = Device(), tmp_path / "audit.jsonl", AuditTrail.begin
    full = [True]

    def begin(self: AuditTrail, at: datetime, attempts: list[Attempt]) -> tuple[int, ...]:
        if full.pop() if full else False:
            raise LateRecordError("disk full")
        return real(self, at, attempts)

    monkeypatch.setattr(AuditTrail, "begin", begin)
    async with writing(path, {"a": device}) as writer:
        assert await writer.release("stop", ["a"]) == {"a": Outcome.VERIFIED}
    assert [outcome for _, _, outcome in lines(path)] == [ATTEMPTED, "verified"]


async def test_what_a_failed_cycle_has_released_counts_as_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day, plans = midsummer(), selfish_plans()
    async with bench(tmp_path, day, plans) as at:
        for _ in range(4):
            await at.cycle()
        assert all(at.loop.state[name].sent for name in ("n3_converter", "n4_converter"))
        monkeypatch.setattr(
            "controller.service.cycle.decide", lambda *given: _with_release(decide(*given), "n3_converter")
        )
        monkeypatch.setattr(os, "fsync", _broken)
        with pytest.raises(RecordError):
            await at.cycle()
        assert at.loop.state["n3_converter"].sent is None
        assert at.loop.state["n4_converter"].sent is not None
        assert at.plant.laboratory.converters["n3_converter"].state.setpoint_kva == 0


def _with_release(decided: CycleDecision, name: str) -> CycleDecision:
    writes = {device: result for device, result in decided.writes.items() if device != name}
    return replace(decided, writes=writes, releases={name: Doubt(DoubtKind.FOREIGN, "text")})


def _broken(descriptor: int) -> None:
    raise OSError(5, "Input/output error")
