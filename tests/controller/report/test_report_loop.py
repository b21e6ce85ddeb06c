"""The report of closed-loop runs: complete, true to its files, legible where things went wrong, and side by side."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from controller.report import write_report
from controller.report.comparison import run_names
from controller.report.loop.causes import cause
from controller.report.loop.chapters import comparison, not_converged
from controller.report.loop.figures import mpc_figure
from controller.report.loop.header import header
from controller.report.loop.page import loop_page
from controller.report.loop.violations import event_table
from controller.report.primitives import svg
from controller.report.primitives.amounts import number
from controller.report.primitives.style import COLOURS
from controller.runs.directory import write_table
from tests.support.loops import looped
from tests.support.paths import CONFIGS
from tests.support.reports import Page, drawings, loop, panels, report, rewrite, strokes, summary, texts, with_table

FIGURES = ("without-and-with", "run", "voltages", "prosumers", "exchange", "mpc", "cycles", "day-ahead")
PANELS = {
    "without-and-with": 4,
    "run": 5,
    "voltages": 2,
    "prosumers": 10,
    "exchange": 4,
    "mpc": 4,
    "cycles": 1,
    "day-ahead": 4,
    "comparison": 4,
}
NOTHING = 3
"""Paths of an axes with nothing drawn: its background and its spines."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 minutes around noon, coordinated."""
    folder = looped(tmp_path_factory.mktemp("loops") / "coordinated", CONFIGS / "gridlab9.yaml")
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def selfish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half an hour of the same, uncoordinated."""
    path = CONFIGS / "gridlab9.yaml"
    folder = looped(tmp_path_factory.mktemp("loops") / "selfish", path, (75, 78), coordinate=False)
    write_report(folder)
    return folder


def test_one_file_that_needs_nothing_from_elsewhere(run: Path) -> None:
    html = report(run)
    assert len(html.encode()) < 1_000_000
    assert set(re.findall(r"\w+://[^\s\"'<)]*", html)) == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"<(script|link|img|iframe|object)\b|@import|@font-face", html)
    page = Page(html)
    assert len(page.ids) == len(set(page.ids)), "ids of different figures must not meet"
    assert all(target in page.ids for target in re.findall(r"url\(#([^)]+)\)", html))


def test_the_same_run_gives_the_same_bytes(run: Path, copy: Path) -> None:
    (copy / "report.html").unlink()
    assert write_report(copy).read_bytes() == (run / "report.html").read_bytes()


def test_every_figure_shows_every_prosumer_in_its_colour(run: Path) -> None:
    found = drawings(report(run))
    assert tuple(found) == FIGURES
    assert {key: len(panels(drawing)) for key, drawing in found.items()} == {key: PANELS[key] for key in FIGURES}
    for drawing in found.values():
        assert all(len(list(panel.iter("{http://www.w3.org/2000/svg}path"))) > NOTHING for panel in panels(drawing))
    for key in ("run", "voltages", "prosumers", "exchange", "day-ahead"):
        for color in COLOURS[:5]:
            assert strokes(found[key], color) >= 2, "legend or second panel, and line"
    assert {"12:00", "12:40", "13:20", "tariff", "limit", "curtailed"} <= set(texts(found["run"]))
    assert {"target", "setpoint", "measured", "load", "PV"} <= set(texts(found["prosumers"]))


def test_axes_have_units(run: Path) -> None:
    labels = " ".join(text for drawing in drawings(report(run)).values() for text in texts(drawing))
    for unit in ("(CHF/kWh)", "charge (%)", "battery (kW)", "PV (kW)", "(p.u.)", "(kvar)", "(A)", "(ms)"):
        assert unit in labels


def test_says_what_summary_json_says(run: Path) -> None:
    text, told = Page(report(run)).text, summary(run)
    for name, account in told["settlement"].items():
        money = [account[key] for key in ("own_optimum_chf", "real_chf", "compensation_chf")]
        money += [account["stored_chf"] - account["own_stored_chf"], account["promised_chf"]]
        energies = [account[key] for key in ("imported_kwh", "exported_kwh", "curtailed_kwh")]
        cells = [name, *map(number, money), *(number(kwh, 2) for kwh in energies)]
        assert " ".join([*cells, number(100 * account["soc_final"], 1)]) in text
    assert f"total {number(told['total_cost_chf']['uncoordinated'])} " in text
    measured = told["measured"]
    for expected in (
        "21 June 2018", "12:00–13:20", "160 cycles", "coordinated, margin 0.003 p.u.",
        f"{measured['outside_10min']} of {measured['means_10min']}",
        f"{measured['v_min_pu']:.4f} … {measured['v_max_pu']:.4f}", told["config_sha256"],
        f"gridlab simulate {told['config']} --start 12:00 --end 13:20 --margin 0.003 --seed 0",
        f"{told['ac']['v_min_pu']:.4f} … {told['ac']['v_max_pu']:.4f}",
        f"ended after {told['iterations']} rounds ({told['status']})", f"gridlab plan {told['config']}",
    ):  # fmt: skip
        assert expected in text


def test_nodes_are_counted_as_in_nodes_csv(selfish: Path) -> None:
    text = Page(report(selfish)).text
    nodes = pd.read_csv(selfish / "nodes.csv")
    judged = pd.to_datetime(nodes["time"]) >= pd.Timestamp(summary(selfish)["judged_from"])
    mine = nodes[(nodes["node"] == "N9") & judged]
    outside = mine[(mine["v_pu"] > 1.05) | (mine["v_pu"] < 0.95)]
    worst = outside.loc[outside["v_pu"].idxmax()]
    assert f"N9 {len(outside)} of {len(mine)} {worst['v_pu']:.4f} {worst['time'][11:16]}" in text


def test_uncoordinated_is_said_and_explained(selfish: Path) -> None:
    html = report(selfish)
    text = Page(html).text
    assert "Not coordinated" in text
    assert "Nobody coordinates; this is what the plans of all add up to." in text
    assert "--uncoordinated" in text
    assert tuple(drawings(html)) == tuple(key for key in FIGURES[1:] if key != "mpc")


def test_two_runs_side_by_side(run: Path, copy: Path, tmp_path: Path) -> None:
    """A run and its twin, of which one has other counts and is called uncoordinated."""
    rewrite(copy, lambda data: data.update(coordinated=False, measured=data["measured"] | {"outside_10min": 17}))
    rewrite(copy, lambda data: data["settlement"]["N5"].update(soc_final=0.777, real_chf=-0.123))
    beside = Path(shutil.copytree(run, tmp_path / "beside"))
    html = write_report(beside, copy).read_text(encoding="utf-8")
    text, before = Page(html).text, summary(run)
    assert tuple(drawings(html)) == (FIGURES[0], "comparison", *FIGURES[1:], "other-day-ahead")
    assert len(panels(drawings(html)["comparison"])) == PANELS["comparison"]
    assert {"coordinated, margin 0.003 p.u.", "uncoordinated"} <= set(texts(drawings(html)["comparison"]))
    outside, n5 = before["measured"]["outside_10min"], before["settlement"]["N5"]
    assert f"10-min means outside {outside} 17 +{17 - outside}" in text
    curtailed, charge = number(n5["curtailed_kwh"], 2), number(100 * n5["soc_final"], 1)
    assert f"N5 {number(n5['real_chf'])} −0.123 {curtailed} {curtailed} {charge} 77.7" in text
    assert "The two configurations differ" not in text


def test_the_day_ahead_plan_with_all_that_its_run_may_have_of_it(copy: Path, selfish: Path) -> None:
    """Rounds and expected voltages, and the plan of the other run on the same scale."""
    rounds = {"iteration": [1, 2], "primal": 1.0, "dual": 1.0, "rho": 1.0, "gap_rel": [np.nan, 0.01]}
    write_table(copy / "iterations.csv", pd.DataFrame(rounds | {"violation_pu": 0.001, "linearisation_pu": 0.0}))
    times = pd.read_csv(copy / "plan.csv")["time"].unique()
    nodes = pd.MultiIndex.from_product([times, [f"N{k}" for k in range(1, 10)]], names=["time", "node"])
    write_table(copy / "plan_nodes.csv", pd.DataFrame({"v_pu": 1.02}, nodes).reset_index())
    page = Page(html := write_report(copy, selfish).read_text(encoding="utf-8"))
    found = drawings(html)
    assert tuple(found)[-3:] == ("day-ahead", "day-ahead-convergence", "other-day-ahead")
    assert len(panels(found["day-ahead"])) == PANELS["day-ahead"] + 1
    assert {"#day-ahead", "#day-ahead-convergence", "#other-day-ahead", "#run", "#costs"} <= set(page.links)
    assert "The day-ahead plan without coordination" in page.text
    ends = [texts(panels(found[key])[2]) for key in ("day-ahead", "other-day-ahead")]
    assert ends[0] == [text for text in ends[1] if text != "all 5 alike"], "ticks of the same scale"


def test_telemetry_under_the_name_that_the_configuration_gives_it(copy: Path) -> None:
    (copy / "telemetry.sqlite").rename(copy / "points.sqlite")
    assert loop(copy).cycle_ms is None
    rewrite(copy, lambda data: data["scenario"].update(telemetry="points.sqlite"))
    assert len(loop(copy).cycle_ms) == 160


def test_a_prosumer_has_one_colour_in_both_runs(run: Path, copy: Path) -> None:
    """Who is drawn in a crowd follows the first run, whomever the second one moved."""
    one, other = loop(run), loop(copy)
    assert one.participants.same_grid(other.participants)
    rewrite(copy, lambda data: data["scenario"]["nodes"].update(N3="N2"))
    assert not one.participants.same_grid(loop(copy).participants)
    html = write_report(copy, run).read_text(encoding="utf-8")
    assert "other-day-ahead" in drawings(html)


def test_runs_of_other_times_and_names(run: Path, selfish: Path) -> None:
    html = comparison(loop(selfish), loop(run))
    assert "<svg" not in html, "no figure of runs that did not run at the same time"
    assert "uncoordinated coordinated, margin 0.003 p.u. difference" in Page(html).text


def test_what_tells_two_runs_apart(run: Path, copy: Path) -> None:
    one = loop(run).summary
    assert run_names(one, one) == ("this run", "the other run")
    rewrite(copy, lambda data: data.update(seed=7))
    assert run_names(one, loop(copy).summary)[1] == "coordinated, margin 0.003 p.u., seed 7"
    rewrite(copy, lambda data: data.update(margin="off"))
    assert run_names(one, loop(copy).summary) == ("coordinated, margin 0.003 p.u.", "coordinated, margin off")


def test_interrupted(copy: Path) -> None:
    rewrite(copy, lambda data: data.update(interrupted=True))
    assert "It was stopped before its end" in Page(header(loop(copy))).text


EVENT = {
    "begin": "2018-06-21T12:30:00+02:00",
    "end": "2018-06-21T12:50:00+02:00",
    "side": 1,
    "nodes": ["N9", "N8", "N7", "N6"],
    "pairs": 5,
    "at": "2018-06-21T12:40:00+02:00",
    "mean_pu": 1.054,
    "beyond_pu": 0.004,
    "parts": {"planned_pu": 1.048, "supply_pu": 0.004, "off_target_pu": 0.0015, "rest_pu": 0.0005},
    "mpc": "converged",
    "adopted": True,
    "not_used": [],
    "saturated": ["N9"],
}
CAUSES: dict[str, tuple[dict[str, Any], str]] = {
    "supply": ({}, "The supply voltage rose after the plan was made. The battery of N9 could do no more."),
    "low": (
        {"side": -1, "mean_pu": 0.946, "saturated": [], "parts": {"planned_pu": 0.952, "supply_pu": -0.006,
         "off_target_pu": 0.0, "rest_pu": 0.0}},
        "The supply voltage fell after the plan was made.",
    ),
    "demand": (
        {"saturated": ["N7", "N9"], "parts": {"planned_pu": 1.048, "supply_pu": 0.001, "off_target_pu": 0.005,
         "rest_pu": 0.0}},
        "Prosumers drew less than planned. The batteries of N7 and N9 could do no more.",
    ),
    "model": (
        {"parts": {"planned_pu": 1.048, "supply_pu": 0.001, "off_target_pu": 0.0, "rest_pu": 0.005}},
        "Model and meters differ.",
    ),
    "plan": (
        {"mpc": "budget", "adopted": False, "parts": {"planned_pu": 1.053, "supply_pu": 0.001, "off_target_pu": 0.0,
         "rest_pu": 0.0}},
        "The MPC run for this interval had not converged (budget). An older plan was in force.",
    ),
    "nobody": (
        {"not_used": ["N4", "N5", "N9"], "parts": dict.fromkeys(EVENT["parts"])},  # type: ignore[call-overload]
        "Unknown, since a demand or the supply was not measured. N4, N5 and N9 did not follow the plan.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", CAUSES)
def test_causes_in_words(copy: Path, which: str) -> None:
    change, expected = CAUSES[which]
    rewrite(copy, lambda data: data.update(events=[EVENT | change]))
    record = loop(copy)
    (event,) = record.summary.events
    assert cause(record.summary, event).endswith(expected)
    text = Page(event_table(record)).text
    assert "12:30–12:50 N9, N8, N7 and 1 more" in text
    assert expected in text


def test_many_events_are_cut_to_the_worst(copy: Path) -> None:
    rewrite(copy, lambda data: data.update(events=[EVENT | {"beyond_pu": k / 1000} for k in range(1, 31)]))
    assert "and 6 more, less far outside" in Page(event_table(loop(copy))).text


def test_runs_that_did_not_converge_are_marked_and_named(copy: Path) -> None:
    with_table(
        copy,
        "mpc.csv",
        lambda t: t.assign(status=np.where(t.index == 3, "budget", t["status"]), adopted=t.index != 5),
    )
    record = loop(copy)
    drawing = drawings(svg.inline(svg.rendered(mpc_figure(record)), "mpc", "…"))["mpc"]
    assert {"not converged", "not adopted", "budget", "tolerance"} <= set(texts(drawing))
    assert not_converged(record) == "Not converged: 12:30 (budget)."


def test_gaps_in_the_record(copy: Path) -> None:
    """Ten minutes without measurements, a node without a meter, no telemetry."""

    def holes(table: pd.DataFrame) -> pd.DataFrame:
        gap = table["time"].str[11:15] == "12:3"
        measured = [column for column in table if column.endswith(("_kw", "_kvar"))]
        return table.assign(**{column: table[column].mask(gap) for column in measured})

    with_table(copy, "realtime.csv", holes)
    with_table(copy, "nodes.csv", lambda t: t.assign(v_pu=t["v_pu"].mask((t["node"] == "N6") | (t.index < 400))))
    with_table(copy, "slack.csv", lambda t: t.assign(p_kw=np.nan, q_kvar=np.nan))
    rewrite(copy, lambda data: data.update(model_check=None))
    (copy / "telemetry.sqlite").unlink()
    html = write_report(copy).read_text(encoding="utf-8")
    assert tuple(drawings(html)) == tuple(key for key in FIGURES if key != "cycles")
    assert "N6 not measured –" in Page(html).text


def test_a_crowd_shows_those_who_matter(copy: Path) -> None:
    """Every prosumer four times, with a name that is markup: lines for five, tables for all."""
    evil = "<script>alert(1)</script>&\"'"

    def four(table: pd.DataFrame) -> pd.DataFrame:
        return pd.concat(
            [table.assign(prosumer=table["prosumer"] + (evil * (k > 0) + str(k) * (k > 0))) for k in range(4)]
        )

    def too_many_prosumers(data: dict[str, Any]) -> None:
        data.update(name=evil, version=evil, config_sha256=evil, config=evil, margin=evil)
        for told in (data["cost_chf"], data["curtailed_kwh"], data["settlement"], data["scenario"]["nodes"]):
            told.update({f"{name}{evil}{k}": value for name, value in list(told.items()) for k in (1, 2, 3)})

    for file in ("realtime.csv", "hindsight_plan.csv", "plan.csv"):
        with_table(copy, file, four)
    rewrite(copy, too_many_prosumers)
    record = loop(copy)
    html = loop_page(record, None)
    assert len(record.participants.shown) == 5
    assert len(panels(drawings(html)["prosumers"])) == 10
    assert "Of 20 prosumers the 5 that coordination moved most are drawn." in Page(html).text
    assert f"N4{evil}3 " in Page(html).text
    assert "<script" not in html
