"""The accounts of closed-loop runs against what their own files and the plant say, counted another way."""

import csv
import json
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from controller.accounts.baseline import HINDSIGHT, HINDSIGHT_NODES
from core.load import load_config, load_scenario
from sim_plant.laboratory import Laboratory
from tests.support.commands import scenario_file
from tests.support.independent_flow import reference_flow
from tests.support.loops import looped
from tests.support.paths import CONFIGS

DEFAULT = CONFIGS / "gridlab9.yaml"
STEPS = 8


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From noon on, coordinated."""
    return looped(tmp_path_factory.mktemp("accounts") / "run", DEFAULT)


@pytest.fixture(scope="module")
def selfish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without coordination."""
    return looped(tmp_path_factory.mktemp("accounts") / "selfish", DEFAULT, coordinate=False)


def summary_of(run: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return summary


def rows(run: Path, file: str) -> list[dict[str, str]]:
    with (run / file).open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("which", ["run", "selfish"])
def test_voltages_are_counted_right(which: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(which)
    measured, outside = summary_of(folder)["measured"], 0
    intervals: dict[tuple[str, str], list[float]] = defaultdict(list)
    judged = datetime.fromisoformat(summary_of(folder)["judged_from"])
    for row in rows(folder, "nodes.csv"):
        if row["node"] != "N1" and datetime.fromisoformat(row["time"]) >= judged:
            v_pu = float(row["v_pu"])
            outside += not 0.95 <= v_pu <= 1.05
            intervals[row["node"], row["time"][:15]].append(v_pu)
    means = {key: sum(values) / len(values) for key, values in intervals.items()}
    left = {key for key, mean in means.items() if not 0.95 <= mean <= 1.05}
    skipped = round((judged - datetime.fromisoformat(summary_of(folder)["start"])).total_seconds() / 30)
    assert 1 <= skipped <= 3
    assert (measured["samples"], measured["outside"]) == (8 * (20 * STEPS - skipped), outside)
    assert (measured["means_10min"], measured["outside_10min"]) == (8 * STEPS, len(left))
    assert measured["any_node_10min"] == len({interval for _, interval in left})


def test_coordination_is_seen_in_the_voltages(run: Path, selfish: Path) -> None:
    assert summary_of(run)["measured"]["outside_10min"] <= 1
    assert summary_of(selfish)["measured"]["outside_10min"] > 10
    assert summary_of(run)["curtailed_kwh"]["N9"] > 0.1 > summary_of(selfish)["curtailed_kwh"]["N9"]


def test_energy_is_the_plants(run: Path) -> None:
    """Measured net energy against load, PV and the true battery energy of the accounts: 5 W of noise, 80 minutes."""
    summary = summary_of(run)
    for name, account in summary["settlement"].items():
        net_kwh = account["imported_kwh"] - account["exported_kwh"]
        mine = [row for row in rows(run, "realtime.csv") if row["prosumer"] == name]
        behind_kwh = sum(float(row["load_kw"]) - float(row["pv_kw"]) - float(row["battery_kw"]) for row in mine) / 120
        assert net_kwh == pytest.approx(behind_kwh, abs=0.01)
        book = summary["energy_books"][name]
        assert book["booked_kwh"] == pytest.approx(book["true_kwh"], abs=0.02)


def test_account_that_do_not_balance_are_found(run: Path, tmp_path: Path) -> None:
    """A converter whose readings are 10 % too large: the accounts follow the readings, the truth does not."""

    def wrong_scale(at_s: float, laboratory: Laboratory) -> None:
        if at_s == 300:
            laboratory.station("n9_converter").switch("wrong_scale", on=True, number=1.1)

    balances = summary_of(looped(tmp_path / "run", DEFAULT, disturb=wrong_scale))["energy_books"]
    assert abs(balances["N9"]["difference_rel"]) > 0.1
    assert balances["N7"] == pytest.approx(summary_of(run)["energy_books"]["N7"], abs=0.2)


def test_money(run: Path) -> None:
    """Real cost against a plain sum over realtime.csv; the optimum is cheaper, and all of it adds up."""
    summary = summary_of(run)
    for name, cost in summary["cost_chf"].items():
        mine = [row for row in rows(run, "realtime.csv") if row["prosumer"] == name]
        chf = sum(float(a["tariff_chf_per_kwh"]) * float(b["p_measured_kw"]) / 120 for a, b in pairwise(mine))
        assert cost["coordinated"] == pytest.approx(chf, abs=0.006)
        account = summary["settlement"][name]
        fair = account["real_chf"] - account["stored_chf"] - (account["own_optimum_chf"] - account["own_stored_chf"])
        own = summary["own_cost_chf"][name]
        more_chf = cost["coordinated"] - cost["uncoordinated"] + own["coordinated"] - own["uncoordinated"]
        assert cost["compensation"] == pytest.approx(more_chf, abs=1e-12)
        assert fair > -0.01
    totals = {kind: sum(c[kind] for c in summary["cost_chf"].values()) for kind in ("coordinated", "uncoordinated")}
    assert summary["total_cost_chf"] == pytest.approx(totals)


def test_own_optimum_is_on_record(run: Path) -> None:
    own = pd.DataFrame(rows(run, HINDSIGHT))
    assert own.groupby("prosumer").size().to_dict() == dict.fromkeys(("N3", "N4", "N5", "N7", "N9"), 72)
    own = own[own["time"] < "2018-06-21T13:20"]
    chf = (own["p_kw"].astype(float) * own["tariff_chf_per_kwh"].astype(float) / 6).groupby(own["prosumer"]).sum()
    assert chf.to_dict() == pytest.approx(
        {n: c["uncoordinated"] for n, c in summary_of(run)["cost_chf"].items()}, abs=1e-9
    )


def test_the_day_without_coordination_is_that_of_the_own_optima(run: Path) -> None:
    """Its voltages by an independent power flow of the own optima; the same intervals as of the run."""
    summary, config = summary_of(run), load_config(DEFAULT)
    day = load_scenario(config, DEFAULT, "realised").after(72)
    own = pd.DataFrame(rows(run, HINDSIGHT)).set_index("prosumer")
    x = np.stack([own.loc[site.name, ["p_kw", "q_kvar"]].to_numpy(float) for site in day.sites])
    flow, baseline = reference_flow(day, x), summary["baseline"]
    v_pu, q_kvar = np.abs(flow.v)[:STEPS], flow.s_slack.imag[:STEPS]
    outside = (v_pu > 1.05) | (v_pu < 0.95)
    assert baseline["measured"]["outside_10min"] == outside.sum() > 10
    assert baseline["measured"]["means_10min"] == summary["measured"]["means_10min"] == outside.size
    assert baseline["measured"]["v_max_pu"] == pytest.approx(v_pu.max(), abs=1e-6)
    limit_kvar = 25 * np.sqrt(1 - 0.99**2)
    assert baseline["supply"]["outside_10min"] == (np.abs(q_kvar) > limit_kvar).sum()
    assert baseline["supply"]["worst_kvar"] == pytest.approx(max(np.abs(q_kvar).max() - limit_kvar, 0), abs=1e-5)
    nodes = pd.DataFrame(rows(run, HINDSIGHT_NODES))
    assert float(nodes["v_pu"].astype(float).max()) >= v_pu.max() - 1e-6


def test_uncoordinated_plans_promise_nothing(run: Path, selfish: Path) -> None:
    assert [a["promised_chf"] for a in summary_of(selfish)["settlement"].values()] == pytest.approx([0] * 5, abs=0.02)
    assert sum(a["promised_chf"] for a in summary_of(run)["settlement"].values()) > 0.1
    assert summary_of(selfish)["mpc"] | {"runs": 8, "converged": 0} == summary_of(selfish)["mpc"]


def test_state_of_charge_and_referee(run: Path) -> None:
    summary = summary_of(run)
    for name, band in summary["soc"].items():
        socs = [float(row["soc"]) for row in rows(run, "realtime.csv") if row["prosumer"] == name]
        assert (band["lowest"], band["highest"], band["outside"]) == (min(socs), max(socs), 0)
        assert summary["settlement"][name]["soc_initial"] == socs[0]
    assert summary["referee"] == {"frames": 5 * 20 * STEPS, "refused": 0, "violations": 0, "rules": {}}
    assert (summary["realtime"]["cycles"], summary["mpc"]["runs"]) == (20 * STEPS, STEPS)


def test_events_add_up(selfish: Path) -> None:
    events = summary_of(selfish)["events"]
    assert sum(event["pairs"] for event in events) == summary_of(selfish)["measured"]["outside_10min"]
    assert max(event["beyond_pu"] for event in events) == pytest.approx(
        summary_of(selfish)["measured"]["worst_mean_pu"]
    )
    for event in events:
        parts = event["parts"]
        assert sum(parts.values()) == pytest.approx(event["mean_pu"], abs=1e-12)
        assert abs(parts["rest_pu"]) < 5e-4, "the plant's power flow and the controller's agree"
        assert (
            datetime.fromisoformat(event["begin"]).utcoffset()
            == datetime.fromisoformat("2018-06-21T00:00+02:00").utcoffset()
        )


def test_the_supply_that_moved_is_named(tmp_path: Path) -> None:
    """Two minutes after a plan is made the supply rises by 2 %, and falls again with the next plan."""

    def lift(at_s: float, laboratory: Laboratory) -> None:
        if at_s == 720:
            laboratory.hold_slack(1.02)
        if at_s == 1200:
            laboratory.hold_slack(None)

    (event,) = summary_of(looped(tmp_path / "run", DEFAULT, (72, 75), disturb=lift))["events"]
    assert event["begin"] == event["at"] == "2018-06-21T12:10:00+02:00"
    assert event["parts"]["supply_pu"] == pytest.approx(0.02, abs=0.006)
    assert abs(event["parts"]["off_target_pu"]) + abs(event["parts"]["rest_pu"]) < 0.004
    assert event["parts"]["planned_pu"] < 1.05


def test_a_node_that_somebody_took_is_named(tmp_path: Path) -> None:
    """N9 is switched to LOCAL for the second interval, with a sagging supply."""

    def seize(at_s: float, laboratory: Laboratory) -> None:
        if at_s in (660, 1140):
            laboratory.station("n9_converter").switch("local", on=at_s == 660)
        laboratory.hold_slack(1.06)

    summary = summary_of(looped(tmp_path / "run", DEFAULT, (72, 74), disturb=seize))
    second = [event for event in summary["events"] if event["at"] == "2018-06-21T12:10:00+02:00"]
    assert all(event["not_used"] == ["N9"] for event in second)
    assert summary["settlement"]["N9"]["curtailed_kwh"] > 0.4, "a node at rest lets no PV through"
    assert summary["referee"]["violations"] == 0


def test_without_battery_and_without_pv(tmp_path: Path) -> None:
    battery = "battery: {s_max_kva: 2.5, energy_kwh: 2.5, soc_initial: 0.5, soc_min: 0.1, soc_max: 0.9, loss_rel: 0.02}"
    config = scenario_file(tmp_path)
    head, *tail = config.read_text(encoding="utf-8").split(f"    {battery}\n")
    text = head + f"    {battery}\n".join(tail)
    (_, first, *_), pv = text.split("    pv:\n"), text.index("    pv:\n")
    end = pv + len("    pv:\n") + first.index("    load:")
    config.write_text(text[:pv] + text[end:], encoding="utf-8")
    summary = summary_of(looped(tmp_path / "run", config, (72, 74)))
    bare = summary["settlement"]["N3"]
    assert (bare["soc_final"], bare["available_kwh"], bare["curtailed_kwh"]) == (None, 0, 0)
    assert bare["compensation_chf"] == pytest.approx(0, abs=0.01)
    assert set(summary["soc"]) == set(summary["energy_books"]) == {"N4", "N5", "N7", "N9"}
