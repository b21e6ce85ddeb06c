"""Made-up requests to the local API of a real service: no crash, and no change of state without authorisation."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.tables import ResultTable, Targets
from controller.api.endpoints import ENDPOINTS
from tests.support.api import running
from tests.support.fuzz.requests import RAW, Tally, fuzz, fuzz_bytes

CASES, BYTES, LEAST = 1500, 2500, 10_000
SEED = 20180621


def run() -> Iterator[ResultTable]:
    """Yield the counts of answers by endpoint, then the targets."""
    began_s = time.monotonic()
    with TemporaryDirectory() as folder, running(Path(folder)) as api:
        tallies = {f"{e.method} {e.path}": fuzz(api, e, CASES, SEED + k) for k, e in enumerate(ENDPOINTS)}
        tallies[RAW] = fuzz_bytes(api, BYTES, SEED)
    yield _table(tallies, time.monotonic() - began_s)
    total, broken = sum(t.total for t in tallies.values()), [line for t in tallies.values() for line in t.broken]
    targets = Targets()
    targets.check(f"≥ {LEAST:,} cases".replace(",", " "), f"{total:,}".replace(",", " "), total >= LEAST)
    targets.check("0 crashes, 0 changes without authorisation", f"{len(broken)}{_first(broken)}", not broken)
    yield targets


def _table(tallies: dict[str, Tally], wall_s: float) -> ResultTable:
    table = ResultTable(
        f"Made-up requests, {wall_s:.0f} s in all", ["", "cases", "done", "refused", "closed", "5xx", "broken"]
    )
    for name, tally in tallies.items():
        answers = (str(tally.of(kind)) for kind in (2, 4, 0, 5))
        table.add(name, str(tally.total), *answers, str(len(tally.broken)))
    return table


def _first(broken: list[str]) -> str:
    return f": {broken[0]}" if broken else ""
