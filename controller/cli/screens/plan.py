"""Terminal output of planning: progress of a coordination or study, and the result."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from controller.cli.screens.terminal import console, print_path, prosumer_table, rounds_text
from controller.runs.words import account_words
from core.config import Config
from core.config_coordination import CoordinationConfig
from mpc.coordination.star.outcome import Iteration

RELAXATION_VISIBLE_REL = 1e-4
"""What the directions of batteries may cost is said from this share on."""


@contextmanager
def progress(settings: CoordinationConfig, quiet: bool) -> Iterator[Callable[[Iteration], None]]:
    """A progress bar over the rounds with residuals, gap and violation; yields a callback for each round."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=quiet, transient=True) as bar:
        task = bar.add_task("coordinating", total=settings.max_iterations, state="")

        def observe(i: Iteration) -> None:
            gap = "gap      – " if i.gap_rel is None else f"gap {i.gap_rel:8.1e}"
            state = f"round {i.iteration:3d}  primal {i.primal:7.3f} kW  {gap}  violation {i.violation_pu:.1e} p.u."
            bar.update(task, completed=i.iteration, state=state)

        yield observe


@contextmanager
def steps(name: str, quiet: bool) -> Iterator[Callable[[float], None]]:
    """A progress bar; yields a callback for the share done, in [0, 1]."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=quiet, transient=True) as bar:
        task = bar.add_task(name, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def print_result(summary: dict[str, Any], run_path: Path) -> None:
    """Print the counterpart of the paper's Table 3, the state of the grid, and the path of the report."""
    currency = summary["scenario"]["currency"]
    title = f"{summary['name']}, {summary['scenario']['date']}: cost of the day in {currency}"
    table = prosumer_table(title, *account_words(coordinated=True), "curtailed kWh")
    costs = summary["cost_chf"]
    for name, cost in costs.items():
        table.add_row(name, *_amounts(cost), f"{summary['curtailed_kwh'][name]:.2f}")
    table.add_section()
    total = {**summary["total_cost_chf"], "compensation": sum(cost["compensation"] for cost in costs.values())}
    table.add_row("total", *_amounts(total), f"{sum(summary['curtailed_kwh'].values()):.2f}")
    console.print(table)
    console.print(_verdict(summary))
    if collapsed := summary["collapsed"]["uncoordinated"]:
        first = f"{datetime.fromisoformat(collapsed[0]):%H:%M}"
        more = f" and in {len(collapsed) - 1} more steps" if len(collapsed) > 1 else ""
        console.print(f"[yellow]without coordination there is no power flow at {first}{more}: voltage collapses")
    print_path("report", run_path / "report.html")


def print_checked(config: Config, path: Path) -> None:
    """Print the content of a valid scenario."""
    nodes = config.grid.network().nodes
    console.print(
        f"{path}: valid; {len(nodes)} nodes, {len(config.prosumers)} prosumers, {len(config.devices)} devices, "
        f"{config.horizon.date} in steps of {config.horizon.step_min} min"
    )


def _amounts(cost: dict[str, float]) -> list[str]:
    kinds = ("uncoordinated", "coordinated", "compensation")
    return [f"{round(cost[kind], 3) + 0.0:.3f}" for kind in kinds]  # no -0.000


def _verdict(summary: dict[str, Any]) -> str:
    ac, unheld = summary["ac"], summary["unheld"]
    gap = "no certificate" if summary["gap_rel"] is None else f"certified gap {summary['gap_rel']:.1e}"
    if (summary["relaxation_gap_rel"] or 0.0) > RELAXATION_VISIBLE_REL:
        gap += f"; one direction of each battery at a time costs at most {summary['relaxation_gap_rel']:.1e} more"
    rounds = f"after {rounds_text(summary['iterations'])} in {summary['wall_s']:.2f} s"
    slack = f"{ac['slack_q_violation_kvar']:.3f} kvar and {ac['slack_p_violation_kw']:.3f} kW"
    lines = [
        f"[bold]{summary['status']}[/bold] {rounds}; {gap}",
        f"voltages {ac['v_min_pu']:.4f} … {ac['v_max_pu']:.4f} p.u., off limits by {ac['violation_max_pu']:.1e} p.u.",
        f"slack off limits by {slack}, lines by {ac['line_overload_a']:.2f} A",
    ]
    if summary["status"] == "infeasible":
        lines.append(
            f"[yellow]limits that nobody can hold: {unheld['violation_pu']:.4f} p.u., "
            f"priced at {unheld['cost_chf']:.2f} {summary['scenario']['currency']}"
        )
    return "\n".join(lines)
