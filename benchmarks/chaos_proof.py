"""All faults × five seeds, a day with 200 deaths, 72 hours in one process, a million frames: about two hours.

Rewrites the tables of docs/reliability.md.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks import fuzz
from benchmarks.cases import ROOT
from benchmarks.parts import Parts, measure_parts
from benchmarks.tables import Table, Targets
from controller.chaos.campaign import Campaign, chosen, run_campaign
from controller.chaos.director import Result, prepare
from controller.chaos.endurance import Day, day, leaks
from controller.chaos.screen import progress
from controller.chaos.table import COLUMNS, p95, rows
from controller.chaos.trials import TRIALS

PAGE = ROOT / "docs" / "reliability.md"
CONFIG = ROOT / "configs" / "gridlab9.yaml"
SEEDS, KILLS, HOURS = 5, 200, 72.0
LINKS, FROZEN = range(7, 13), (14,)
COST_REL, GROWTH_REL = 0.01, 0.05


def faults(_: Console) -> Iterator[Table]:
    """`gridlab chaos` over all faults and seeds."""
    with TemporaryDirectory() as scratch:
        campaign = Campaign(CONFIG, chosen(None), SEEDS, Path(scratch), keep=False, jobs=os.cpu_count() or 1)
        with progress(quiet=False) as observe:
            results = run_campaign(campaign, observe)
    table = Table(f"{len(TRIALS)} faults × {SEEDS} seeds; times p95 / longest", COLUMNS)
    for row in rows(results):
        table.add(*row.cells)
    yield table
    yield _asked(results)


def deaths(console: Console) -> Iterator[Table]:
    """A day with kills at random moments, against the undisturbed one."""
    calm = _calm()
    with TemporaryDirectory() as scratch:
        console.print(f"a day with {KILLS} kills …")
        killed = day(CONFIG, prepare(CONFIG, Path(scratch)), Path(scratch) / "killed", KILLS)
    targets = Targets()
    apart_rel = abs(killed.cost_chf - calm.cost_chf) / abs(calm.own_optimum_chf)
    targets.check("kills, each followed by an outage of 0 … 60 s", str(killed.deaths), killed.deaths == KILLS)
    targets.check("invariants broken, audit rows lost among them: 0", str(len(killed.broken)), not killed.broken)
    violations = f"{killed.referee.violations} of {killed.referee.frames} frames"
    targets.check("violations of the referee: 0", violations, not killed.referee.violations)
    targets.check("points lost: 0", str(killed.points_lost), not killed.points_lost)
    costs = f"{killed.cost_chf:.3f}, undisturbed {calm.cost_chf:.3f}, {100 * apart_rel:.2f} % apart"
    targets.check("cost of the day in CHF within 1 % of the uncoordinated cost", costs, apart_rel <= COST_REL)
    targets.add("ACTIVE given back by the operator after a crash loop", f"{killed.armed} times", "")
    yield targets


def false_alarms(_: Console) -> Iterator[Table]:
    """The undisturbed day raises no alarm but those of the grid."""
    calm = _calm()
    targets = Targets()
    said = ", ".join(f"{kind} {n}" for kind, n in calm.false_alarms.items()) or "0"
    targets.check("alarms of devices, data, plans, records and writers: 0", said, not calm.false_alarms)
    targets.check("invariants broken: 0", str(len(calm.broken)), not calm.broken)
    real = ", ".join(f"{kind} {n}" for kind, n in calm.alarms.items() if kind not in calm.false_alarms)
    targets.add("alarms of the grid itself: limits bind, the supply voltage moves", real or "0", "")
    yield targets


def long_run(console: Console) -> Iterator[Table]:
    """72 hours of virtual time in one process."""
    with TemporaryDirectory() as scratch:
        console.print(f"{HOURS:g} hours …")
        before, after = leaks(CONFIG, prepare(CONFIG, Path(scratch)), Path(scratch) / "long", HOURS)
    targets, growth = Targets(), after.rss_kb / before.rss_kb - 1
    memory = f"{before.rss_kb / 1024:.0f} MB → {after.rss_kb / 1024:.0f} MB, {100 * growth:+.1f} %"
    targets.check("memory after 72 h against 1 h: at most +5 %", memory, growth <= GROWTH_REL)
    targets.check("tasks: the same", f"{before.tasks} → {after.tasks}", after.tasks == before.tasks)
    targets.check("open files and sockets: the same", f"{before.files} → {after.files}", after.files == before.files)
    yield targets


PARTS: Parts = {
    "faults": faults,
    "deaths": deaths,
    "false alarms": false_alarms,
    "long run": long_run,
    "fuzzing": lambda _: fuzz.run(),
}


@cache
def _calm() -> Day:
    """The undisturbed day, for two parts of the proof."""
    with TemporaryDirectory() as scratch:
        return day(CONFIG, prepare(CONFIG, Path(scratch)), Path(scratch) / "calm")


def _asked(results: Sequence[Result]) -> Table:
    targets, passed = Targets(), sum(result.passed for result in results)
    targets.check(f"judged safe: {len(results)} of {len(results)}", str(passed), passed == len(results))
    for what, numbers, limit_s in (("link", LINKS, 15.0), ("frozen device", FROZEN, 45.0)):
        seen = sorted(r.detected_s for r in results if r.number in numbers and r.detected_s is not None)
        targets.check(f"{what} detected, p95: at most {limit_s:g} s", f"{p95(seen):.0f} s", p95(seen) <= limit_s)
    for what, times, limit_s in (
        ("device safe after any fault", [r.safe_s for r in results], 90.0),
        ("recovered from the end of a fault", [r.recovered_s for r in results], 60.0),
    ):
        longest_s = max(time for time in times if time is not None)
        targets.check(f"{what}: at most {limit_s:g} s", f"{longest_s:.0f} s", longest_s <= limit_s)
    return targets


if __name__ == "__main__":
    measure_parts(PAGE, PARTS, __doc__)
