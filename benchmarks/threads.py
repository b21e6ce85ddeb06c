"""What the threads of BLAS gain on an idle machine, and lose on a busy one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from benchmarks.scaling import SIZES, in_own_process
from benchmarks.tables import ResultTable, milliseconds, ratio


def run() -> Iterator[ResultTable]:
    """Yield one table: the largest coordination of ``scaling``, alone and beside another process."""
    n, cores = SIZES[-1], os.cpu_count() or 1
    table = ResultTable(
        f"Coordination of {n} prosumers, wall s",
        ["", "1 thread", f"{cores} threads", "ratio", "one linearisation, ms: 1 thread", f"{cores} threads"],
    )
    for label, circumstances in (
        ("nothing else running", nullcontext()),
        ("beside a process that keeps one core busy", busy_neighbour()),
    ):
        with circumstances:
            one, many = in_own_process(n, 1), in_own_process(n, cores)
        table.add(
            label, f"{one['wall_s']:.1f}", f"{many['wall_s']:.1f}", ratio(many["wall_s"], one["wall_s"]),
            milliseconds(one["linearise_s"]), milliseconds(many["linearise_s"]),
        )  # fmt: skip
    yield table


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Run another process that keeps one core busy."""
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.wait()
