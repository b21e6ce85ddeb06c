"""Running coroutines in tests that leave nothing behind."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar

T = TypeVar("T")
DEADLINE_S = 40


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run it in an event loop of its own; a task or a socket that it leaves behind is a failure.

    Garbage is collected at the end, so that what was left open is this test's fault. What there was before is frozen
    meanwhile: a collection looks through the objects of one test instead of half a million.
    """

    async def watched() -> T:
        async with asyncio.timeout(DEADLINE_S):
            result = await test
        for _ in range(10):
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    gc.freeze()
    try:
        result = asyncio.run(watched())
        gc.collect()
        return result
    finally:
        gc.unfreeze()


def synchronous(test: Callable[..., Any]) -> Callable[..., Any]:
    """The function that pytest calls in place of an ``async def test_…``, see :func:`run`; Hypothesis calls it per
    example.
    """
    if hypothesis := getattr(test, "hypothesis", None):
        hypothesis.inner_test = synchronous(hypothesis.inner_test)
        return test
    if not iscoroutinefunction(test):
        return test

    @wraps(test)
    def whole(*args: Any, **kwargs: Any) -> None:
        run(test(*args, **kwargs))

    return whole
