"""61: a process that may open the planner's socket sends what would run code where it is unpickled."""

import asyncio
import pickle
from pathlib import Path
from typing import Any

from controller.chaos.injection import InjectionResult, TrialContext
from controller.chaos.injections.planning import EARLY_S, run_to_first_mpc
from controller.judge.case import Kind
from controller.judge.histories import read_histories
from controller.planner.planner import SIZE

ANSWER_S = 20.0
"""Real time (s) within which the planner answers or hangs up."""


class MaliciousPickle:
    """Creates the file ``path`` in any process that unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


async def malicious_job(context: TrialContext, planner: Path) -> InjectionResult:
    """61: none of it runs, and the next plan comes."""
    faulted = context.faulted
    begins, trace = await run_to_first_mpc(context), faulted.folder / "executed"
    payloads = [pickle.dumps(MaliciousPickle(trace), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    messages = [SIZE.pack(len(job)) + job for job in (*payloads, context.random.randbytes(4096))]
    answered = [await _answered(planner, message) for message in (*messages, SIZE.pack(2**63))]
    fault = context.fault("malicious job", Kind.OTHER, begins)
    await faulted.run_until(EARLY_S + 60.0)
    complaints = {
        "a job was executed that is no job": trace.exists(),
        "the planner neither answered nor hung up": not all(answered),
        "no plan after it": not any(
            plan.time >= begins and plan.adopted for plan in read_histories(faulted.folder).plans
        ),
    }
    await context.run_recovery()
    return InjectionResult(fault, tuple(text for text, holds in complaints.items() if holds))


async def _answered(planner: Path, message: bytes) -> bool:
    """Whether the planner, after this message, answers or hangs up."""
    reader, writer = await asyncio.open_unix_connection(planner)
    try:
        async with asyncio.timeout(ANSWER_S):
            writer.write(message)
            await reader.read()
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    finally:
        writer.close()
    return True
