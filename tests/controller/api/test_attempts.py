"""Attempts on record: all of an operator's, the others' as counts that no flood can make long."""

import asyncio

import pytest

from controller.api.attempts import KINDS_MAX, RequestLog
from controller.process.failures import RecordError


async def test_a_flood_is_one_line_and_then_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.api.attempts.WINDOW_S", 0.1)
    lines: list[str] = []
    attempts = RequestLog()

    async def note(event: str, detail: str) -> None:
        lines.append(f"{event}: {detail}")

    async with attempts.recorded(note):
        for _ in range(500):
            await attempts.add("a", counted=True)
            await attempts.add("b", counted=True)
        assert lines == ["api: a"]
        await attempts.add("mine", counted=False)
        assert lines[1:] == ["api: b × 500; a × 499; mine"]
        await attempts.add("late", counted=True)
        await asyncio.sleep(0.15)
        assert lines[2:] == ["api: late"]
        await attempts.add("at the end", counted=True)
    assert lines[3:] == ["api: at the end"]


async def test_what_cannot_be_written_is_written_later() -> None:
    lines: list[str] = []
    full = True

    async def note(event: str, detail: str) -> None:
        if full:
            raise RecordError("disk full")
        lines.append(detail)

    attempts = RequestLog()
    await attempts.add("before", counted=False)
    async with attempts.recorded(note):
        for k in range(2 * KINDS_MAX):
            await attempts.add(f"order {k}", counted=False)
        full = False
        await attempts.add("last", counted=False)
    parts = lines[0].split("; ")
    assert parts[:2] == ["before", "order 0"]
    assert parts[-1] == f"others × {KINDS_MAX + 2}"
    assert len(lines) == 1
