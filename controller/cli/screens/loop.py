"""Terminal output of the closed loop: a simulated day and its result, start and end of a service."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from controller.cli.screens.terminal import console, print_path, prosumer_table
from controller.process.modes import Mode
from controller.runs.words import account_words
from controller.simulation.master import RunProgress, SimulationJob


@contextmanager
def progress(job: SimulationJob, quiet: bool) -> Iterator[Callable[[RunProgress], None]]:
    """The progress of a run: a bar on a terminal, a line every simulated hour elsewhere; yields its callback."""
    if quiet:
        yield lambda _: None
        return
    minutes = round((job.end - job.start).total_seconds() / 60)
    length = f"{minutes // 60} h {minutes % 60:02} min in {job.cycles} cycles"
    console.print(f"{job.config.name}, {job.config.horizon.date}: {length}; first the day-ahead plan")
    if console.is_terminal:
        with _bar(job) as observe:
            yield observe
    else:
        yield _hourly(job)


@contextmanager
def _bar(job: SimulationJob) -> Iterator[Callable[[RunProgress], None]]:
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}")
    times, state = (TimeElapsedColumn(), TimeRemainingColumn()), _State(job)
    with Progress(*columns, *times, console=console, transient=True) as bar:
        task = bar.add_task("planning the day", total=1.0, state="")

        def observe(run: RunProgress) -> None:
            bar.update(task, completed=run.share, description=f"{state.local(run):%H:%M:%S}", state=state.after(run))

        yield observe


def _hourly(job: SimulationJob) -> Callable[[RunProgress], None]:
    state, hours = _State(job), set[int]()

    def observe(run: RunProgress) -> None:
        at, text = state.local(run), state.after(run)
        if at.hour not in hours:
            hours.add(at.hour)
            console.print(f"{at:%H:%M}  {run.share:4.0%}  {text}", soft_wrap=True)

    return observe


class _State:
    """Extreme voltages so far and the cost, as text."""

    def __init__(self, job: SimulationJob) -> None:
        self._currency, self._zone = job.config.currency, ZoneInfo(job.config.horizon.timezone)
        self._reached: list[float] = []

    def local(self, run: RunProgress) -> datetime:
        return run.at.astimezone(self._zone)

    def after(self, run: RunProgress) -> str:
        seen = [*self._reached, *(v_pu for v_pu in (run.v_min_pu, run.v_max_pu) if v_pu is not None)]
        self._reached = [min(seen), max(seen)] if seen else []
        voltages = " … ".join(f"{v_pu:.3f}" for v_pu in self._reached) or "–"
        return f"{voltages} p.u.  cost {run.cost:+.2f} {self._currency}"


def print_result(summary: Mapping[str, Any], run_path: Path) -> None:
    """Print the day without and with coordination, what it cost whom, timing and safety."""
    if summary["coordinated"]:
        console.print(_comparison(summary))
    currency = summary["scenario"]["currency"]
    words = account_words(coordinated=summary["coordinated"])
    table = prosumer_table(f"cost in {currency}, by prosumer", *words, "curtailed kWh")
    for name, cost in summary["cost_chf"].items():
        amounts = (cost["uncoordinated"], cost["coordinated"], cost["compensation"], summary["curtailed_kwh"][name])
        table.add_row(name, *(f"{amount:.3f}" for amount in amounts))
    console.print(table)
    if stored := _stored(summary):
        console.print(stored)
    for line in _verdicts(summary):
        console.print(line)
    print_path("report", run_path / "report.html")


def _stored(summary: Mapping[str, Any]) -> str | None:
    """What part of the compensation is charge at the end, if any; it makes a compensation negative in short runs."""
    accounts, currency = summary["settlement"], summary["scenario"]["currency"]
    more = {name: round(each["stored_chf"] - each["own_stored_chf"], 3) for name, each in accounts.items()}
    if not any(more.values()):
        return None
    by_amount = sorted(more, key=more.__getitem__)
    least, most = (f"{name} {more[name]:.3f}" for name in (by_amount[0], by_amount[-1]))
    word = account_words(coordinated=summary["coordinated"]).difference
    held = "what batteries hold more at the end than in the own optimum"
    return f"{sum(more.values()):.3f} {currency} of the {word} is stored: {held} ({least} … {most})"


def _comparison(summary: Mapping[str, Any]) -> Table:
    """Voltages first, then the two counts, costs and curtailment of both days."""
    table = Table(title=f"{summary['name']}, {summary['scenario']['date']}")
    table.add_column("")
    for heading in ("without coordination", "with coordination"):
        table.add_column(heading, justify="right")
    days = (summary["baseline"], summary)
    voltages = (f"{_digits(day['measured']['v_min_pu'])} … {_digits(day['measured']['v_max_pu'])}" for day in days)
    table.add_row("voltages, p.u.", *voltages)
    table.add_row("10-min voltages outside", *(_outside(day["measured"]) for day in days))
    table.add_row("10-min reactive power outside", *(_outside(day["supply"]) for day in days))
    total = summary["total_cost_chf"]
    costs = (f"{total[kind]:.3f}" for kind in ("uncoordinated", "coordinated"))
    table.add_row(f"cost, {summary['scenario']['currency']}", *costs)
    own = [sum(cost[kind] for cost in summary["own_cost_chf"].values()) for kind in ("uncoordinated", "coordinated")]
    if any(own):
        table.add_row(f"losses and wear, {summary['scenario']['currency']}", *(f"{amount:.3f}" for amount in own))
    owed = sum(cost["compensation"] for cost in summary["cost_chf"].values())
    table.add_row(f"compensation, {summary['scenario']['currency']}", "–", f"{owed:.3f}")
    table.add_row("PV curtailed, kWh", *(f"{sum(day['curtailed_kwh'].values()):.2f}" for day in days))
    return table


def _outside(counts: Mapping[str, Any]) -> str:
    means = counts["means_10min"]
    return f"{counts['outside_10min']} of {means} ({counts['outside_10min'] / means:.1%})" if means else "not measured"


def print_serving(mode: Mode, port: int | None, run_path: Path, quiet: bool) -> None:
    """Print the mode, the run directory, and the address of the live page."""
    if not quiet:
        console.print(f"serving in {mode.upper()}; records in {run_path}; stop with SIGTERM or Ctrl-C")
        if port is None:
            console.print("live page: no port is free yet, see the log")
        else:
            print_live(port, quiet)


def print_live(port: int, quiet: bool) -> None:
    """Print the address of the live page."""
    if not quiet:
        console.print(f"live page: http://127.0.0.1:{port}/")


def _digits(v_pu: float | None) -> str:
    return "–" if v_pu is None else f"{v_pu:.4f}"


def _ms(time_ms: float | None) -> str:
    return "–" if time_ms is None else f"{time_ms:.0f} ms"


def _verdicts(summary: Mapping[str, Any]) -> Iterator[str]:
    measured, realtime, mpc, referee = (summary[key] for key in ("measured", "realtime", "mpc", "referee"))
    if not summary["coordinated"]:
        yield f"voltages {_digits(measured['v_min_pu'])} … {_digits(measured['v_max_pu'])} p.u."
        yield f"10-min mean voltages outside the limits: {_outside(measured)}"
        yield f"10-min means of reactive power outside: {_outside(summary['supply'])}"
    yield f"30 s samples of voltages outside the limits: {measured['outside']} of {measured['samples']}"
    cycles = f"{realtime['cycles']} cycles, {realtime['missed']} missed, p99 {_ms(realtime['p99_ms'])}"
    runs = f"{mpc['runs']} MPC runs, {mpc['converged']} converged, p95 {_ms(mpc['p95_ms'])}"
    yield f"{cycles}; {runs}; {summary['wall_s']:.0f} s in all"
    colour = "green" if not referee["violations"] else "red"
    yield f"[{colour}]referee: {referee['frames']} frames, {referee['violations']} violations"
