"""What a simulated run prints: its progress where nobody watches, and the day without and with coordination."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.cli.screens import loop as screen
from controller.simulation.master import RunProgress
from controller.simulation.options import SimulationRequest
from core.load import load_config
from tests.support.paths import CONFIG

Capsys = pytest.CaptureFixture[str]
JOB = SimulationRequest(start="10:00", end="12:30").job(load_config(CONFIG), CONFIG)
COUNTS = {"v_min_pu": 0.951, "v_max_pu": 1.0432, "outside_10min": 1, "means_10min": 200, "outside": 3, "samples": 4000}
NOTHING = {**COUNTS, "v_min_pu": None, "v_max_pu": None, "means_10min": 0}
COST = {"uncoordinated": -3.0, "coordinated": -2.9, "compensation": 0.1}
SUMMARY: dict[str, Any] = {
    "name": "village", "coordinated": True, "scenario": {"currency": "EUR", "date": "2018-06-21"},
    "measured": COUNTS, "supply": {"outside_10min": 2, "means_10min": 144}, "curtailed_kwh": {"N3": 0.5},
    "baseline": {
        "measured": {**COUNTS, "outside_10min": 40, "v_max_pu": 1.0911}, "curtailed_kwh": {"N3": 0.0},
        "supply": {"outside_10min": 54, "means_10min": 144},
    },
    "settlement": {"N3": {"stored_chf": 0.5, "own_stored_chf": 0.5}},
    "cost_chf": {"N3": COST}, "total_cost_chf": COST, "own_cost_chf": {"N3": dict.fromkeys(COST, 0.0)},
    "wall_s": 5.0, "referee": {"frames": 7, "violations": 0},
    "realtime": {"cycles": 300, "missed": 0, "p99_ms": None}, "mpc": {"runs": 15, "converged": 15, "p95_ms": 8.0},
}  # fmt: skip


def progress(minute: float, low: float | None, high: float | None, cost: float) -> RunProgress:
    return RunProgress(JOB.start + timedelta(minutes=minute), minute / 150, low, high, cost, None)


def test_a_piped_run_tells_its_progress_every_hour(capsys: Capsys) -> None:
    """The lowest voltage is the lowest measured, not 1."""
    with screen.progress(JOB, quiet=False) as observe:
        for minute, low, high in ((0, None, None), (0.5, 1.02, 1.03), (30, 1.01, 1.04), (60, 1.03, 1.03)):
            observe(progress(minute, low, high, 0.25 * minute / 60))
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "gridlab9, 2018-06-21: 2 h 30 min in 300 cycles; first the day-ahead plan"
    assert lines == ["10:00    0%  – p.u.  cost +0.00 CHF", "11:00   40%  1.010 … 1.040 p.u.  cost +0.25 CHF"]


def test_a_quiet_run_tells_nothing(capsys: Capsys) -> None:
    with screen.progress(JOB, quiet=True) as observe:
        observe(progress(0, 1.0, 1.0, 0.0))
    assert capsys.readouterr().out == ""


def test_the_end_compares_the_day_without_and_with_coordination(capsys: Capsys) -> None:
    screen.print_result(SUMMARY, Path("run"))
    said = capsys.readouterr().out
    lines = [" ".join(line.replace("│", " ").split()) for line in said.splitlines()]
    shown = lines[: lines.index("PV curtailed, kWh 0.00 0.50") + 1]
    assert shown[4:] == [
        "voltages, p.u. 0.9510 … 1.0911 0.9510 … 1.0432",
        "10-min voltages outside 40 of 200 (20.0%) 1 of 200 (0.5%)",
        "10-min reactive power outside 54 of 144 (37.5%) 2 of 144 (1.4%)",
        "cost, EUR -3.000 -2.900",
        "compensation, EUR – 0.100",
        "PV curtailed, kWh 0.00 0.50",
    ]
    assert "CHF" not in said
    assert lines[-1] == "report: run/report.html"


def test_charge_at_the_end_is_named_beside_the_compensation(capsys: Capsys) -> None:
    screen.print_result(SUMMARY, Path("run"))
    assert "stored" not in capsys.readouterr().out
    ends = {"N3": (0.5, 0.1), "N4": (0.2, 0.2), "N5": (0.2, 0.25)}
    stored = {name: {"stored_chf": real, "own_stored_chf": own} for name, (real, own) in ends.items()}
    screen.print_result({**SUMMARY, "settlement": stored}, Path("run"))
    said = " ".join(capsys.readouterr().out.split())
    held = "what batteries hold more at the end than in the own optimum"
    assert f"0.350 EUR of the compensation is stored: {held} (N5 -0.050 … N3 0.400)" in said


def test_what_was_not_measured_is_not_counted(capsys: Capsys) -> None:
    screen.print_result({**SUMMARY, "coordinated": False, "measured": NOTHING}, Path("run"))
    said = capsys.readouterr().out
    assert "10-min mean voltages outside the limits: not measured" in said
    assert "without coordination" not in said


def test_progress_is_in_local_time() -> None:
    assert JOB.start == datetime.fromisoformat("2018-06-21T10:00:00+02:00")
