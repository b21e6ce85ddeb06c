"""Terminal output of the closed loop: a simulated day and its result, start and end of a service."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from controller.cli.screens.terminal import console, print_path, prosumer_table
from controller.process.modes import Mode
from controller.simulation.master import RunProgress, SimulationJob
from core.time import TimeAxis


@contextmanager
def progress(job: SimulationJob, quiet: bool) -> Iterator[Callable[[RunProgress], None]]:
    """A progress bar over simulated time with the extreme voltages so far and the cost; yields its callback."""
    config = job.config
    zone = TimeAxis.day(config.horizon.date, config.horizon.timezone, config.horizon.step_min).times[0].tzinfo
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}")
    times = TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, *times, console=console, disable=quiet, transient=True) as bar:
        task = bar.add_task("planning the day", total=1.0, state="")
        worst = [1.0, 1.0]

        def observe(run: RunProgress) -> None:
            seen = [v for v in (run.v_min_pu, run.v_max_pu) if v is not None]
            worst[:] = min([worst[0], *seen]), max([worst[1], *seen])
            state = f"{worst[0]:.3f} … {worst[1]:.3f} p.u.  {run.cost:+.2f} {config.currency}"
            bar.update(task, completed=run.share, description=f"{run.at.astimezone(zone):%H:%M:%S}", state=state)

        yield observe


def print_result(summary: Mapping[str, Any], run_path: Path) -> None:
    """Print costs, compliance with limits, timing and safety."""
    currency = summary["scenario"]["currency"]
    title = f"{summary['name']}, {summary['scenario']['date']}: real cost in {currency}"
    table = prosumer_table(title, "own optimum", "real", "compensation", "curtailed kWh")
    for name, cost in summary["cost_chf"].items():
        amounts = (cost["uncoordinated"], cost["coordinated"], cost["compensation"], summary["curtailed_kwh"][name])
        table.add_row(name, *(f"{amount:.3f}" for amount in amounts))
    console.print(table)
    for line in _verdicts(summary):
        console.print(line)
    print_path("report", run_path / "report.html")


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
    share = measured["outside_10min"] / max(measured["means_10min"], 1)
    means = f"{measured['outside_10min']} of {measured['means_10min']} ({share:.1%})"
    samples = f"{measured['outside']} of {measured['samples']}"
    yield f"voltages {_digits(measured['v_min_pu'])} … {_digits(measured['v_max_pu'])} p.u."
    yield f"outside the limits: 10-min means {means}, 30 s samples {samples}"
    cycles = f"{realtime['cycles']} cycles, {realtime['missed']} missed, p99 {_ms(realtime['p99_ms'])}"
    runs = f"{mpc['runs']} MPC runs, {mpc['converged']} converged, p95 {_ms(mpc['p95_ms'])}"
    yield f"{cycles}; {runs}; {summary['wall_s']:.0f} s in all"
    colour = "green" if not referee["violations"] else "red"
    yield f"[{colour}]referee: {referee['frames']} frames, {referee['violations']} violations"
