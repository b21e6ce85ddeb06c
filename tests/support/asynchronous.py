"""Running coroutines in tests that leave nothing behind."""

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
DEADLINE_S = 40


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run a test; a task or a socket that it leaves behind is a failure."""

    async def watched() -> T:
        async with asyncio.timeout(DEADLINE_S):
            result = await test
        for _ in range(10):
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    result = asyncio.run(watched())
    gc.collect()
    return result
