"""In closed loop: a prosumer with two converters, passive houses with and without a meter, one that shares a node."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from controller.judge.case import Case, CaseConfig, InjectedFault, Kind
from controller.judge.histories import read_histories
from controller.judge.invariants import violations
from controller.runs.directory import Run
from core.config import Config
from core.load import load_config, load_scenario
from mpc.grid.power_flow import PowerFlow
from tests.support.commands import gridlab_process, scenario_file
from tests.support.simulated_day import Simulate, json_lines

SECOND = "{name: n3_second, kind: sunspec_converter, port: 15026, s_max_kva: 5, ramp_kva_per_s: 0.25}"
NEIGHBOUR = """
  - name: N5b
    node: N5
    load:
      forecast: {{file: {profiles}, p: G1-B_p, q: G1-B_q, date: 2016-06-06}}
      realised: {{file: {profiles}, p: G1-B_p, q: G1-B_q, date: 2016-06-13}}

devices:
"""
LOADS = "load_commercial_15min.csv"
LOCAL = {"at": "12:08:00", "for_s": 120, "device": "n3_second", "fault": "local"}
CYCLES = 40


def scenario(folder: Path) -> Path:
    """N3 with two converters, N4 and N7 without one (N7 without a meter too), and a passive neighbour of N5."""
    path = scenario_file(
        folder,
        ("converter: n3_converter", "converter: [n3_converter, n3_second]"),
        ("    converter: n4_converter\n", ""),
        ("    converter: n7_converter\n", ""),
    )
    lines = path.read_text().splitlines()
    gone = ("name: n4_converter", "name: n7_converter", "name: n7_meter")
    text = "\n".join(line for line in lines if not any(word in line for word in gone)) + f"\n  - {SECOND}\n"
    profiles = next(line.split("file: ")[1].split(",")[0] for line in lines if LOADS in line)
    path.write_text(text.replace("\ndevices:\n", NEIGHBOUR.format(profiles=profiles), 1))
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenario(tmp_path_factory.mktemp("houses"))


@pytest.fixture(scope="module")
def config(path: Path) -> Config:
    return load_config(path)


@pytest.fixture(scope="module")
def run(simulate: Simulate, path: Path) -> Run:
    """Twenty minutes; for two of them somebody has the second converter of N3 at its panel."""
    faults = path.with_name("faults.yaml")
    faults.write_text(json.dumps([LOCAL]))
    return simulate("--start", "12:00", "--end", "12:20", "--seed", 7, "--faults", faults, config=path)


def rows(run: Run, prosumer: str) -> pd.DataFrame:
    return run.table("realtime.csv").query("prosumer == @prosumer").set_index("time")


def drawn_kva(path: Path, config: Config, times: pd.DatetimeIndex) -> pd.DataFrame:
    """What passive houses really draw: realised load less PV, between the middles of minutes."""
    horizon = config.horizon.model_copy(update={"step_min": 1})
    day = load_scenario(config.model_copy(update={"horizon": horizon}), path, "realised")
    minutes = (times - pd.Timestamp(day.axis.start)) / pd.Timedelta(minutes=1) - 0.5
    sites = [(site.name, site.outlook) for site in day.sites if site.name in config.passive]
    series = {name: (o.load_kw - o.pv_available_kw) + 1j * o.load_kvar for name, o in sites}
    return pd.DataFrame({name: np.interp(minutes, range(1440), s_kva) for name, s_kva in series.items()}, index=times)


def test_everybody_has_a_row_in_every_cycle(run: Run, config: Config) -> None:
    table = run.table("realtime.csv")
    assert table.groupby("prosumer").size().to_dict() == {p.name: CYCLES for p in config.prosumers}
    assert list(table["prosumer"][:6]) == ["N3", "N4", "N5", "N7", "N9", "N5b"]
    assert set(run.summary["safe"]) == {"n3_converter", "n3_second", "n5_converter", "n9_converter"}
    assert all(run.summary["safe"].values())


def test_no_rule_is_broken(run: Run, config: Config) -> None:
    assert run.summary["referee"]["violations"] == 0
    assert run.summary["referee"]["frames"] >= 4 * CYCLES
    end = datetime.fromisoformat(run.summary["end"])
    begins = end - timedelta(minutes=12)
    fault = InjectedFault("local", 10, "n3_second", begins, begins + timedelta(minutes=2), Kind.DEVICE)
    for faults in ((fault,), ()):
        case = Case.of(read_histories(run.path), CaseConfig.of(config), faults, end)
        assert list(violations(case)) == []


def test_two_converters_track_the_plan_of_one_prosumer(run: Run) -> None:
    table = rows(run, "N3").query("rung == 'use'")
    free = ~table["reasons"].fillna("").str.contains("battery_saturated|pv_curtailed|voltage_slope")
    assert len(table) > 25
    assert free.sum() > 10
    assert (table["p_setpoint_kw"] - table["p_target_kw"])[free].abs().max() < 0.01
    followed = table["p_measured_kw"].shift(-1) - table["p_setpoint_kw"]
    assert followed.abs().quantile(0.9) < 0.03


def test_one_at_its_panel_costs_its_own_share(run: Run) -> None:
    """A quarter of N3: the row says so, and the other converter goes on by the plan."""
    taken = rows(run, "N3").between_time("10:08", "10:09:30")
    assert set(taken["rung"]) == {"safe"}
    assert taken["reasons"].str.contains("stopped").all()
    audit = json_lines(run.path / "audit.jsonl")
    writes = pd.DataFrame([line for line in audit if line.get("outcome") == "attempted"])
    writes["time"] = pd.to_datetime(writes["time"], utc=True)
    during = writes[writes["time"].isin(taken.index)]
    assert set(during.query("device == 'n3_converter'")["reason"].str.split().str[0]) == {"use"}
    assert len(during.query("device == 'n3_converter'")) == 4
    assert during.query("device == 'n3_second'").empty
    for name in ("N5", "N9"):
        assert set(rows(run, name).between_time("10:08", "10:09:30")["rung"]) == {"use"}


def test_energy_accounts_balance_with_the_plant(run: Run) -> None:
    assert set(run.summary["energy_books"]) == {"N3", "N5", "N9"}
    for name, account in run.summary["energy_books"].items():
        assert abs(account["difference_kwh"]) < 0.01, name
    assert set(run.summary["soc"]) == {"N3", "N5", "N9"}
    assert all(band["outside"] == 0 for band in run.summary["soc"].values())


@pytest.mark.parametrize(("name", "off_kw"), [("N4", 0.02), ("N5b", 0.03)])
def test_a_house_with_a_meter_at_its_node_is_measured(
    name: str, off_kw: float, run: Run, path: Path, config: Config
) -> None:
    """Also where the node has a controlled converter."""
    table = rows(run, name)
    truth = drawn_kva(path, config, pd.DatetimeIndex(table.index))[name]
    assert (table["p_measured_kw"] - np.real(truth)).abs().max() < off_kw
    assert (table["q_measured_kvar"] - np.imag(truth)).abs().max() < off_kw
    assert table["p_setpoint_kw"].isna().all()
    assert table["rung"].isna().all()
    assert table["reasons"].isna().all()


def test_a_house_without_a_meter_is_as_forecast(run: Run) -> None:
    table, plan = rows(run, "N7"), run.table("plan.csv").query("prosumer == 'N7'").set_index("time")
    assert table["p_measured_kw"].isna().all()
    assert set(table["reasons"]) == {"assumed"}
    planned = plan["p_kw"].reindex(table.index, method="ffill")
    pd.testing.assert_series_equal(table["load_kw"], planned, check_names=False, atol=1e-9)
    pd.testing.assert_series_equal(table["p_target_kw"], planned, check_names=False, atol=1e-9)


def test_nothing_is_planned_that_nobody_can_do(run: Run, config: Config) -> None:
    plan = run.table("plan.csv")
    passive = plan[plan["prosumer"].isin(config.passive)]
    assert passive[["battery_kw", "battery_kvar", "pv_kw", "pv_available_kw"]].eq(0).all().all()
    assert passive["soc"].isna().all()
    pd.testing.assert_series_equal(passive["p_kw"], passive["load_kw"], check_names=False)
    assert passive.query("prosumer == 'N4'")["p_kw"].min() < -1, "its PV gives what it can"


def test_a_house_that_nobody_controls_is_owed_nothing(run: Run, config: Config) -> None:
    for name in config.passive:
        account = run.summary["settlement"][name]
        assert abs(account["compensation_chf"]) < 2e-3, name
        assert abs(account["promised_chf"]) < 1e-9, name
        assert account["curtailed_kwh"] == 0.0
    assert run.summary["settlement"]["N7"]["held_samples"] == CYCLES


def test_the_powers_of_the_grid_add_up(run: Run, path: Path, config: Config) -> None:
    """The AC power flow of all that was drawn takes from the upper grid what the meter there has measured."""
    table, network = run.table("realtime.csv"), config.grid.network()
    table["s_kva"] = table["p_measured_kw"] + 1j * table["q_measured_kvar"]
    drawn = table.pivot(index="time", columns="prosumer", values="s_kva")
    drawn["N7"] = drawn_kva(path, config, pd.DatetimeIndex(drawn.index))["N7"]
    drawn = drawn.dropna()
    assert len(drawn) > 30
    at_node = {node: [p.name for p in config.prosumers if p.node == node] for node in network.nodes[1:]}
    injected = -np.column_stack([drawn[names].sum(axis=1) for names in at_node.values()])
    v_pu = run.table("nodes.csv").query("node == 'N1'").set_index("time")["v_pu"].reindex(drawn.index)
    flow = PowerFlow(network).solve(injected, v_pu.to_numpy())
    slack = run.table("slack.csv").set_index("time").reindex(drawn.index)
    assert np.abs(flow.s_slack.real - slack["p_kw"]).max() < 0.1
    assert np.abs(flow.s_slack.imag - slack["q_kvar"]).max() < 0.1


def test_the_report_shows_them_all(run: Run, config: Config) -> None:
    page = (run.path / "report.html").read_text()
    assert all(f">{prosumer.name}<" in page for prosumer in config.prosumers)


def test_a_grid_of_passive_houses_is_simulated_and_not_served(tmp_path: Path, simulate: Simulate) -> None:
    path = scenario_file(tmp_path)
    kept = [line for line in path.read_text().splitlines() if "_converter" not in line]
    path.write_text("\n".join(kept))
    alone = simulate("--start", "12:00", "--end", "12:10", config=path)
    table = alone.table("realtime.csv")
    assert len(table) == 5 * 20
    planned = table.iloc[10:]  # the first MPC run has seen what they draw
    assert (planned["p_measured_kw"] - planned["p_target_kw"]).abs().max() < 0.5
    assert (alone.summary["safe"], alone.summary["referee"]["frames"]) == ({}, 0)
    refused = gridlab_process("serve", path)
    assert refused.returncode == 2
    assert refused.stderr == f"{path}: prosumers: got none with a converter; allowed: at least one with a `converter`\n"
