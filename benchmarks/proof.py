"""Whole days in closed loop, and a service in real time: longer than CI allows. Writes the tables of docs/proof.md."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from benchmarks import imported_grids, load, trees
from benchmarks.cases import ROOT
from benchmarks.parts import Parts, measure_parts
from benchmarks.tables import ResultTable
from tests.support.guardians import guardian_process

PAGE = ROOT / "docs" / "proof.md"
CONFIG = ROOT / "configs" / "gridlab9.yaml"
GRIDLAB = (sys.executable, "-m", "controller.cli")
DAYS = {
    "margin auto": (),
    "no margin": ("--margin", "off"),
    "margin 0.003": ("--margin", "0.003"),
    "uncoordinated": ("--uncoordinated",),
}
SERVICE_MIN = 15
READY_S = 60.0


def days(console: Console) -> Iterator[ResultTable]:
    """Simulate the default day with the learned margin, with fixed ones, and without coordination."""
    runs = {}
    with TemporaryDirectory() as scratch:
        for name, options in DAYS.items():
            console.print(f"{name} …")
            folder = Path(scratch) / name.replace(" ", "-")
            subprocess.run([*GRIDLAB, "simulate", str(CONFIG), "--quiet", "--out", str(folder), *options], check=True)
            runs[name] = json.loads((folder / "summary.json").read_text())
    yield _table("Limits and cost of the default day", runs, LIMITS)
    yield _table("Loop, MPC and safety", runs, LOOP)


def service(console: Console) -> Iterator[ResultTable]:
    """Run ``gridlab serve`` for 15 minutes on the plant of ``gridlab plant``, at the ports of the configuration."""
    with TemporaryDirectory() as scratch, _plant() as control:
        run, state = Path(scratch) / "run", Path(scratch) / "state"
        command = ("serve", str(CONFIG), "--out", str(run), "--state", str(state))
        with (
            guardian_process(CONFIG, state),
            subprocess.Popen([*GRIDLAB, *command], stdout=subprocess.PIPE, text=True) as serving,
        ):
            assert serving.stdout
            console.print(serving.stdout.readline().strip())
            time.sleep(READY_S)
            activated = subprocess.run(
                [*GRIDLAB, "mode", "active", "--yes", "--state", str(state)], check=True, capture_output=True, text=True
            )
            console.print(activated.stdout)
            time.sleep(60 * SERVICE_MIN)
            before = _ask(control, ask="truth")
            serving.send_signal(signal.SIGTERM)
            began_s = time.monotonic()
            output, _ = serving.communicate(timeout=60)
            stopped_s = time.monotonic() - began_s
        after, referee = _ask(control, ask="truth"), _ask(control, ask="referee")
        table = ResultTable(f"{SERVICE_MIN} minutes of `gridlab serve` in ACTIVE, then SIGTERM", ("", "found"))
        table.add("converters in REMOTE before the stop", _count(before, "remote"))
        table.add("converters in SAFE after it", _count(after, "safe"))
        table.add("said to be safe, read back", str(output.count("safe, read back")))
        table.add("exit code", str(serving.returncode))
        table.add("SIGTERM to end, s", f"{stopped_s:.1f}")
        table.add("frames judged", str(referee["frames"]))
        table.add("violations", str(referee["violations"]))
        table.add("audited attempts", str(_verified(run / "audit.jsonl")))
        yield table


PARTS: Parts = {
    "days": days,
    "service": service,
    "load": lambda _: load.run(),
    "grids": imported_grids.grids,
    "trees": trees.proof,
}

LIMITS = {
    "10-min means outside": lambda s: _share(s["measured"], "outside_10min", "means_10min"),
    "intervals with any node outside": lambda s: str(s["measured"]["any_node_10min"]),
    "30 s samples outside": lambda s: _share(s["measured"], "outside", "samples"),
    "worst mean beyond, p.u.": lambda s: f"{s['measured']['worst_mean_pu']:.4f}",
    "worst sample beyond, p.u.": lambda s: f"{s['measured']['worst_pu']:.4f}",
    "10-min means of reactive power outside": lambda s: _share(s["supply"], "outside_10min", "means_10min"),
    "worst mean of reactive power beyond, kvar": lambda s: f"{s['supply']['worst_kvar']:.2f}",
    "voltages, p.u.": lambda s: f"{s['measured']['v_min_pu']:.3f} … {s['measured']['v_max_pu']:.3f}",
    "real cost, CHF": lambda s: f"{s['total_cost_chf']['coordinated']:.3f}",
    "own optimum in hindsight, CHF": lambda s: f"{s['total_cost_chf']['uncoordinated']:.3f}",
    "curtailed, kWh": lambda s: f"{sum(s['curtailed_kwh'].values()):.2f}",
}
LOOP = {
    "cycles (missed)": lambda s: f"{s['realtime']['cycles']} ({s['realtime']['missed']})",
    "cycle p50 / p99 / max, ms": lambda s: _times(s["realtime"], "p50_ms", "p99_ms", "max_ms"),
    "MPC runs (converged)": lambda s: f"{s['mpc']['runs']} ({s['mpc']['converged']})",
    "MPC p50 / p95 / max, ms": lambda s: _times(s["mpc"], "p50_ms", "p95_ms", "max_ms"),
    "frames (violations)": lambda s: f"{s['referee']['frames']} ({s['referee']['violations']})",
    "converters safe at the end": lambda s: f"{sum(s['safe'].values())} of {len(s['safe'])}",
    "worst energy book, %": lambda s: f"{100 * max(abs(b['difference_rel']) for b in s['energy_books'].values()):.2f}",
    "states of charge": lambda s: _charges(s["soc"]),
    "model error mean / worst, p.u.": lambda s: (
        f"{s['model_check']['mean_pu']:.4f} / {s['model_check']['worst_pu']:.4f}"
    ),
    "wall clock of the day, s": lambda s: f"{s['wall_s']:.0f}",
}


def _table(title: str, runs: dict[str, Any], rows: dict[str, Any]) -> ResultTable:
    table = ResultTable(title, ("", *runs))
    for heading, cell in rows.items():
        table.add(heading, *(cell(summary) for summary in runs.values()))
    return table


def _share(counts: dict[str, int], part: str, whole: str) -> str:
    return f"{counts[part]} of {counts[whole]} ({100 * counts[part] / counts[whole]:.1f} %)"


def _times(times: dict[str, float], *names: str) -> str:
    return " / ".join(f"{times[name]:.0f}" for name in names)


def _charges(soc: dict[str, dict[str, float]]) -> str:
    return f"{min(s['lowest'] for s in soc.values()):.3f} … {max(s['highest'] for s in soc.values()):.3f}"


@contextmanager
def _plant() -> Iterator[int]:
    """Run ``gridlab plant``; yields its control port."""
    with subprocess.Popen([*GRIDLAB, "plant", str(CONFIG)], stdout=subprocess.PIPE, text=True) as plant:
        assert plant.stdout
        try:
            yield json.loads(plant.stdout.readline())["control"]
        finally:
            plant.terminate()


def _ask(port: int, **request: object) -> dict[str, Any]:
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rw") as file:
        file.write(json.dumps(request) + "\n")
        file.flush()
        return dict(json.loads(file.readline()))


def _count(truth: dict[str, Any], mode: str) -> str:
    modes = [converter["mode"] for converter in truth["converters"].values()]
    return f"{modes.count(mode)} of {len(modes)}"


def _verified(audit: Path) -> int:
    return sum(json.loads(line).get("outcome") == "verified" for line in audit.read_text().splitlines())


if __name__ == "__main__":
    measure_parts(PAGE, PARTS, __doc__)
