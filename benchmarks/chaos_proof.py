"""Proof of reliability; writes the tables of docs/reliability.md and takes about two hours.

All faults with five seeds each, days with 200 deaths of the service, seven days with honest meters, lying ones, days
with wrong impedances and supply steps, three days in one process, and a million fuzzed frames.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks import fuzz, voltage
from benchmarks.cases import ROOT
from benchmarks.endurance import EnduranceDay, ThreeDays, dated, day, three_days
from benchmarks.honest_meters import honest_meters
from benchmarks.lying_meters import lying_meters
from benchmarks.parts import Parts, measure_parts
from benchmarks.tables import ResultTable, Targets
from controller.chaos.campaign import FaultCampaign, fault_numbers, run_campaign
from controller.chaos.table import COLUMNS, p95, rows
from controller.chaos.trial_run import TrialResult, prepare
from controller.chaos.trials import TRIALS
from controller.cli.screens.chaos import progress

PAGE = ROOT / "docs" / "reliability.md"
CONFIG = ROOT / "configs" / "gridlab9.yaml"
SEEDS, DAYS, KILLS = 5, 2, 200
LINKS, FROZEN = range(7, 13), (14,)
COST_REL, GROWTH_REL = 0.01, 0.05


def faults(_: Console) -> Iterator[ResultTable]:
    """Run ``gridlab chaos`` over all faults and seeds."""
    with TemporaryDirectory() as scratch:
        campaign = FaultCampaign(
            CONFIG, fault_numbers(None), SEEDS, Path(scratch), keep=False, jobs=os.cpu_count() or 1
        )
        with progress(quiet=False) as observe:
            results = run_campaign(campaign, observe)
    table = ResultTable(f"{len(TRIALS)} faults × {SEEDS} seeds; times p95 / longest", COLUMNS)
    for row in rows(results):
        table.add(*row.cells)
    yield table
    yield _fault_targets(results)


def deaths(console: Console) -> Iterator[ResultTable]:
    """Run days with kills at random moments, and compare each with the undisturbed day."""
    undisturbed = _undisturbed_day()
    with TemporaryDirectory() as scratch, ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        console.print(f"{DAYS} days with {KILLS} kills each …")
        killed = pool.map(partial(_day_with_kills, prepare(CONFIG, Path(scratch)), Path(scratch)), range(1, DAYS + 1))
        days = list(killed)
    apart_rel = [(one.cost_chf - undisturbed.cost_chf) / abs(undisturbed.own_optimum_chf) for one in days]
    columns = ("seed", "kills", "broken", "violations / frames", "points lost", "cost, CHF", "apart, %")
    table = ResultTable(f"Days with kills; undisturbed {undisturbed.cost_chf:.3f} CHF", columns)
    for seed, (one, rel) in enumerate(zip(days, apart_rel, strict=True), 1):
        frames = f"{one.referee.violations} / {one.referee.frames}"
        counts = (seed, one.deaths, len(one.broken), frames, one.points_lost)
        table.add(*map(str, counts), f"{one.cost_chf:.3f}", f"{100 * rel:.2f}")
    yield table
    yield _death_targets(days, apart_rel)


def false_alarms(_: Console) -> Iterator[ResultTable]:
    """Check that the undisturbed day raises no alarm but those of the grid."""
    undisturbed = _undisturbed_day()
    targets = Targets()
    found = ", ".join(f"{kind} {n}" for kind, n in undisturbed.false_alarms.items()) or "0"
    targets.check("alarms of devices, data, plans, records and writers: 0", found, not undisturbed.false_alarms)
    targets.check("invariants broken: 0", str(len(undisturbed.broken)), not undisturbed.broken)
    real = ", ".join(f"{kind} {n}" for kind, n in undisturbed.alarms.items() if kind not in undisturbed.false_alarms)
    targets.add("alarms of the grid itself: limits bind, the supply voltage moves", real or "0", "")
    yield targets


def long_run(console: Console) -> Iterator[ResultTable]:
    """Three days in one process, over two midnights, the third without files: nothing lost, no leak, growth per day."""
    with TemporaryDirectory() as scratch:
        console.print("three days …")
        path = dated(Path(scratch))
        run = three_days(path, prepare(path, Path(scratch)), Path(scratch) / "long")
    yield _three_days_targets(run)
    table = ResultTable("Growth, MB per day", ("", "first day", "second", "third, without files"))
    for name, days in run.grown_mb.items():
        table.add(name, *(f"{mb:.2f}" for mb in days))
    yield table


def _three_days_targets(run: ThreeDays) -> ResultTable:
    targets, growth = Targets(), run.end.rss_kb / run.warm.rss_kb - 1
    targets.check("points lost: 0", str(run.points_lost), not run.points_lost)
    targets.check("invariants broken: 0", str(len(run.broken)), not run.broken)
    targets.check("audit trail whole", run.trail.text, run.trail.whole is True)
    asked = "day-ahead plans in force, that of the fourth day's first minute with them: 4"
    targets.check(asked, str(len(run.plans)), len(run.plans) == 4)
    found = ", ".join(f"{kind} {n}" for kind, n in run.alarms.items()) or "none"
    targets.check("alarms besides the grid's: of the missing files alone", found, set(run.alarms) == {"series"})
    memory = f"{run.warm.rss_kb / 1024:.0f} MB → {run.end.rss_kb / 1024:.0f} MB, {100 * growth:+.1f} %"
    targets.check("memory after 72 h against 1 h: at most +5 %", memory, growth <= GROWTH_REL)
    for what, before, after in (
        ("tasks", run.warm.tasks, run.end.tasks),
        ("open files", run.warm.files, run.end.files),
    ):
        targets.check(f"{what}: the same", f"{before} → {after}", after == before)
    return targets


PARTS: Parts = {
    "faults": faults,
    "deaths": deaths,
    "false alarms": false_alarms,
    "honest meters": lambda console: honest_meters(CONFIG, console),
    "lying meters": lambda console: lying_meters(CONFIG, console),
    "voltage": voltage.days,
    "long run": long_run,
    "fuzzing": lambda _: fuzz.run(),
}


@cache
def _undisturbed_day() -> EnduranceDay:
    """The undisturbed day; it is run once for the two parts that need it."""
    with TemporaryDirectory() as scratch:
        return day(CONFIG, prepare(CONFIG, Path(scratch)), Path(scratch) / "undisturbed")


def _day_with_kills(journal: Path, folder: Path, seed: int) -> EnduranceDay:
    return day(CONFIG, journal, folder / f"killed{seed}", KILLS, seed)


def _death_targets(days: Sequence[EnduranceDay], apart_rel: Sequence[float]) -> ResultTable:
    targets = Targets()
    for asked, number in (
        ("invariants broken, audit rows lost among them: 0", sum(len(one.broken) for one in days)),
        ("violations of the referee: 0", sum(one.referee.violations for one in days)),
        ("points lost: 0", sum(one.points_lost for one in days)),
    ):
        targets.check(asked, str(number), not number)
    worst = f"{100 * max(map(abs, apart_rel)):.2f} %, mean {100 * fmean(apart_rel):.2f} %"
    asked = "cost of each day within 1 % of the uncoordinated cost from the undisturbed one"
    targets.check(asked, worst, max(map(abs, apart_rel)) <= COST_REL)
    targets.add("ACTIVE given back by the operator after a crash loop", f"{sum(one.armed for one in days)} times", "")
    return targets


def _fault_targets(results: Sequence[TrialResult]) -> ResultTable:
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
