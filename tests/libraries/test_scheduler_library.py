"""Traps of APScheduler 3 that controller/service/schedule.py is built around; a change of one shows up here."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apscheduler import events
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler

MISSED = events.EVENT_JOB_MISSED
BUSY = events.EVENT_JOB_MAX_INSTANCES


@contextmanager
def scheduled(job: Callable[[], Any], seen: list[int], **options: Any) -> Iterator[AsyncIOScheduler]:
    """A scheduler with one job every 50 ms."""
    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduler.add_listener(lambda event: seen.append(event.code), MISSED | BUSY)
    scheduler.add_job(job, "interval", seconds=0.05, **options)
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown(wait=False)


@pytest.mark.parametrize(("grace", "runs"), [({}, 0), ({"misfire_grace_time": 120}, 1)])
async def test_a_run_that_is_two_seconds_late_is_skipped_by_default(grace: dict[str, int], runs: int) -> None:
    done, seen = list[int](), list[int]()
    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduler.add_listener(lambda event: seen.append(event.code), MISSED)
    late = datetime.now(UTC) - timedelta(seconds=2)
    scheduler.add_job(lambda: done.append(1), "date", run_date=late, **grace)
    scheduler.start()
    await asyncio.sleep(0.1)
    scheduler.shutdown(wait=False)
    await asyncio.sleep(0)
    assert (len(done), seen) == (runs, [] if runs else [MISSED])


async def test_a_job_that_hangs_blocks_itself_for_ever() -> None:
    begun, seen = list[int](), list[int]()
    end = asyncio.Event()

    async def hanging() -> None:
        begun.append(1)
        await end.wait()

    with scheduled(hanging, seen):
        await asyncio.sleep(0.4)
        assert len(begun) == 1
        assert seen.count(BUSY) >= 3
        end.set()
        await asyncio.sleep(0.01)


class Failing(MemoryJobStore):  # type: ignore[misc]
    """A store whose disk is gone."""

    def update_job(self, job: Any) -> None:
        raise OSError("no space left on device")


async def test_a_job_store_that_fails_stops_the_scheduler_which_says_that_it_runs() -> None:
    done, failures = list[int](), list[str]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(str(context["exception"])))
    scheduler = AsyncIOScheduler(timezone=UTC, jobstores={"default": Failing()})
    scheduler.add_job(lambda: done.append(1), "interval", seconds=0.05)
    scheduler.start()
    await asyncio.sleep(0.4)
    assert len(done) <= 1
    assert failures == ["no space left on device"]
    assert scheduler.running
    scheduler.shutdown(wait=False)
    await asyncio.sleep(0)
