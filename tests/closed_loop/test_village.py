"""The tutorial of the village, from ``gridlab init`` to the report: four kinds of prosumers, EUR, steps of 15 min."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from controller.report.day.files import plan_axis, read_plan
from controller.runs.directory import Run
from tests.support.commands import gridlab_process


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plan of the day, and half an hour of it."""
    folder = tmp_path_factory.mktemp("village")
    config = folder / "village12.yaml"
    commands = [
        ("init", folder),
        ("check", config),
        ("plan", config, "--out", folder / "plan"),
        ("simulate", config, "--start", "12:00", "--end", "12:30", "--out", folder / "loop"),
        ("report", folder / "loop"),
    ]
    for words in commands:
        done = gridlab_process(*words)
        assert (done.returncode, done.stderr) == (0, ""), words
    return folder


def test_the_plan_holds_the_limits_and_ends_the_day_as_it_begins(village: Path) -> None:
    summary = json.loads((village / "plan" / "summary.json").read_text())
    plan = pd.read_csv(village / "plan" / "plan.csv")
    assert (summary["status"], len(plan)) == ("converged", 4 * 96)
    assert summary["ac"]["violation_max_pu"] <= 2e-4
    assert pd.read_csv(village / "plan" / "uncoordinated_nodes.csv").v_pu.max() > 1.03 + 2e-4
    assert sum(summary["curtailed_kwh"].values()) < 0.1
    final = plan.groupby("prosumer").soc.last()
    assert final[["mill", "farm", "house"]].min() >= 0.5 - 1e-6
    assert np.isnan(final["school"])


def test_plants_with_a_rating_supply_reactive_power(village: Path) -> None:
    plan = pd.read_csv(village / "plan" / "plan.csv").set_index("prosumer")
    largest = plan.pv_kvar.abs().groupby("prosumer").max()
    assert largest["school"] > 1
    assert largest["farm"] > 1
    assert largest[["mill", "house"]].max() == 0
    assert (np.hypot(plan.pv_kw, plan.pv_kvar)["school"] <= 40 + 1e-6).all()
    each = pd.read_csv(village / "plan" / "resources.csv")
    assert set(each.resource) == {"pv_east", "pv_west"}
    farm = each[each.quantity == "p_kw"].groupby("time").value.sum()
    np.testing.assert_allclose(-farm.to_numpy(), plan.pv_kw["farm"].to_numpy(), atol=1e-9)


def test_the_report_draws_reactive_power_of_batteries_and_plants(village: Path) -> None:
    run = Run(village / "plan")
    plan = read_plan(run, "plan.csv", plan_axis(run, 15, "Europe/Berlin"))
    whole = run.table("plan.csv").pivot(index="time", columns="prosumer", values=["battery_kvar", "pv_kvar"])
    supplied = whole["battery_kvar"] + whole["pv_kvar"]
    np.testing.assert_allclose(plan["inverter_kvar"][supplied.columns], supplied, atol=1e-9)
    assert supplied["school"].min() < -1


def test_half_an_hour_follows_the_plans_of_every_quarter(village: Path) -> None:
    summary = json.loads((village / "loop" / "summary.json").read_text())
    assert summary["referee"]["violations"] == summary["realtime"]["missed"] == 0
    mpc = pd.read_csv(village / "loop" / "mpc.csv", parse_dates=["time"])
    assert list(mpc.time.diff().dropna()) == [pd.Timedelta(minutes=15)]
    assert set(mpc.status) == {"converged"}
    realtime = pd.read_csv(village / "loop" / "realtime.csv").set_index("prosumer")
    school = realtime.loc["school"].iloc[20:]
    assert (school.pv_kvar < -0.5).all()
    assert school.battery_kw.abs().max() < 1e-9
    off_kvar = (school.q_setpoint_kvar - school.q_target_kvar).abs()
    assert off_kvar[~school.reasons.fillna("").str.contains("voltage_slope")].max() < 0.01
    assert realtime.loc["farm"].soc.between(0.1, 0.9).all()


def test_both_days_are_counted_at_the_nodes_with_a_meter(village: Path) -> None:
    """Four of eleven nodes have a meter."""
    summary = json.loads((village / "loop" / "summary.json").read_text())
    with_, without = summary["measured"], summary["baseline"]["measured"]
    assert without["samples"] == with_["samples"] > 0
    assert without["means_10min"] == with_["means_10min"] == 4 * summary["supply"]["means_10min"]


@pytest.mark.parametrize("run", ["plan", "loop"])
def test_reports_speak_of_euros(village: Path, run: str) -> None:
    page = (village / run / "report.html").read_text(encoding="utf-8")
    assert "EUR" in page
    assert "CHF" not in page
