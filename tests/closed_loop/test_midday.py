"""An hour and a half in closed loop over real sockets, seen from the files that they leave."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from controller.runs.directory import Run
from tests.support.simulated_day import Simulate, json_lines

PROSUMERS = {"N3", "N4", "N5", "N7", "N9"}


def test_every_cycle_and_every_mpc_run_took_place(midday: Run) -> None:
    assert midday.summary["realtime"]["cycles"] == 180
    assert midday.summary["realtime"]["missed"] == 0
    assert midday.summary["mpc"]["runs"] == 9
    assert midday.summary["mpc"]["converged"] >= 8
    assert midday.summary["mpc"]["max_ms"] < 60_000


def test_the_referees_saw_no_violation(midday: Run) -> None:
    referee = midday.summary["referee"]
    assert referee["frames"] >= 180 * 5
    assert referee["violations"] == 0
    frames = json_lines(midday.path / "frames.jsonl")
    assert len(frames) == referee["frames"]
    assert all(frame["lease_s"] == 75 for frame in frames if frame["enable"] and frame["device"] == "n3_converter")


def test_every_converter_ended_in_its_safe_state(midday: Run) -> None:
    assert midday.summary["safe"] == {f"n{k}_converter": True for k in (3, 4, 5, 7, 9)}
    last = json_lines(midday.path / "frames.jsonl")[-20:]
    released = {frame["device"] for frame in last if not frame["enable"]}
    assert released == set(midday.summary["safe"])


def test_states_of_charge_stay_in_their_band(midday: Run) -> None:
    soc = midday.table("realtime.csv")["soc"]
    assert soc.between(0.1, 0.9).all()
    assert soc.max() - soc.min() > 0.1


def test_energy_account_balance_with_the_plant(midday: Run) -> None:
    """Relative to what moved; a day has to stay within 1 %, in an hour a few Wh weigh more."""
    for name, book in midday.summary["energy_books"].items():
        assert abs(book["difference_kwh"]) < 0.01, name


def test_most_voltages_are_within_the_limits(midday: Run) -> None:
    measured = midday.summary["measured"]
    assert measured["means_10min"] == 9 * 8
    assert measured["outside_10min"] <= 2
    assert measured["worst_pu"] < 0.008


def test_voltages_of_the_summary_are_those_of_the_table(midday: Run) -> None:
    nodes = midday.table("nodes.csv").query("node != 'N1'")
    outside = (nodes["v_pu"] < 0.95) | (nodes["v_pu"] > 1.05)
    assert midday.summary["measured"]["outside"] == outside.sum()
    means = nodes.groupby(["node", nodes["time"].dt.floor("10min")])["v_pu"].mean()
    assert midday.summary["measured"]["outside_10min"] == ((means < 0.95) | (means > 1.05)).sum()


def test_plans_are_followed(midday: Run) -> None:
    """Away from the first minute, and but for batteries at their ends and corrections of voltages."""
    table = midday.table("realtime.csv").query("rung == 'use'")
    error = (table["p_setpoint_kw"] - table["p_target_kw"]).abs()
    reasons = table["reasons"].fillna("").str
    free, moved = ~reasons.contains("battery_saturated|pv_curtailed"), reasons.contains("voltage_slope")
    assert free.mean() > 0.8
    assert moved.mean() < 0.2
    assert error[free & ~moved].max() < 0.01


def test_converters_do_what_they_are_said(midday: Run) -> None:
    """What is measured at a sample is what the cycle before had set."""
    table = midday.table("realtime.csv")
    for _, mine in table.groupby("prosumer"):
        error = mine["p_measured_kw"].to_numpy()[1:] - mine["p_setpoint_kw"].to_numpy()[:-1]
        assert np.abs(error).max() < 0.03


def test_net_power_is_load_pv_and_battery(midday: Run) -> None:
    table = midday.table("realtime.csv")
    made_up = table["load_kw"] - table["pv_kw"] - table["battery_kw"]
    pd.testing.assert_series_equal(made_up, table["p_setpoint_kw"], check_names=False, atol=1e-9)


def test_every_write_is_audited_twice(midday: Run) -> None:
    attempts = [line for line in json_lines(midday.path / "audit.jsonl") if "device" in line]
    by_seq = pd.DataFrame(attempts).groupby("seq")["outcome"].agg(list)
    assert len(by_seq) == 181 * 5
    assert all(outcomes == ["attempted", "verified"] for outcomes in by_seq)


def test_a_span_begins_with_the_state_of_charge_of_the_plan(midday: Run) -> None:
    plan = midday.table("plan.csv")
    before = plan[plan["time"] == midday.table("realtime.csv")["time"][0] - pd.Timedelta("10min")]
    first = midday.table("realtime.csv").iloc[:5].set_index("prosumer")["soc"]
    assert first.to_dict() == pytest.approx(before.set_index("prosumer")["soc"].to_dict(), abs=1e-9)


def test_one_seed_gives_one_run(simulate: Simulate, midday: Run) -> None:
    """A shorter run with the same seed is the begin of the longer one, to the last byte; with another it is not."""
    again = simulate("--start", "11:30", "--end", "11:50", "--seed", 7)
    other = simulate("--start", "11:30", "--end", "11:40", "--seed", 8)
    for name in ("realtime.csv", "nodes.csv", "lines.csv"):
        table = (midday.path / name).read_bytes()
        assert table.startswith((again.path / name).read_bytes())
        assert not table.startswith((other.path / name).read_bytes())


def test_without_coordination_limits_are_broken(simulate: Simulate, midday: Run) -> None:
    selfish = simulate("--start", "11:30", "--end", "13:00", "--uncoordinated")
    assert selfish.summary["measured"]["outside_10min"] > 15
    assert selfish.summary["referee"]["violations"] == 0
    assert set(selfish.table("mpc.csv")["status"]) == {"uncoordinated"}


@pytest.mark.parametrize("name", ["summary.json", "plan.csv", "prices.csv", "telemetry.sqlite", "report.html"])
def test_the_run_directory_is_complete(midday: Run, name: str) -> None:
    assert Path(midday.path / name).stat().st_size > 1000
    assert set(midday.table("realtime.csv")["prosumer"]) == PROSUMERS
