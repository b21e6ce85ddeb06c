"""The report of real runs: complete, self-contained, the same every time, and legible whatever the grid is like."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from controller.report import write_report
from controller.report.day.figures import convergence_figure, day_figure
from controller.report.plan.chapters import participants_note
from controller.report.plan.figures import exchange_figure, extremes_figure
from controller.report.plan.header import header
from controller.report.plan.tables import excursion_tables
from controller.report.plan.violations import excursions
from controller.report.primitives import svg
from controller.report.primitives.amounts import magnitude, number, percent
from controller.report.primitives.style import COLOURS, THEMED
from controller.report.primitives.times import edge
from core.errors import InputError
from tests.support.commands import gridlab, scenario_file
from tests.support.paths import CONFIGS
from tests.support.reports import (
    SVG,
    Page,
    drawings,
    feeder,
    panels,
    planned,
    record,
    report,
    rewrite,
    strokes,
    summary,
    texts,
    with_table,
    xs,
)

FIGURES = ("uncoordinated", "coordinated", "extremes", "exchange", "convergence")
MAX_BYTES = 1_500_000
NOTHING = 3
"""Paths of an axes with nothing drawn: its background and its spines."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default scenario."""
    return planned(tmp_path_factory.mktemp("runs") / "default", CONFIGS / "gridlab9.yaml")


@pytest.fixture(scope="module")
def selfish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default scenario with nobody coordinating."""
    return planned(tmp_path_factory.mktemp("runs") / "selfish", CONFIGS / "gridlab9.yaml", coordinate=False)


@pytest.fixture(scope="module")
def infeasible(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Limits that nobody can hold."""
    folder = tmp_path_factory.mktemp("infeasible")
    config = scenario_file(folder, ("forecast: 1.0\n", "forecast: 1.09\n"))
    return planned(folder / "run", config, max_iterations=15)


def test_one_file_that_needs_nothing_from_elsewhere(run: Path) -> None:
    html = report(run)
    assert len(html.encode()) < MAX_BYTES
    assert set(re.findall(r"\w+://[^\s\"'<)]*", html)) == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"<(script|link|img|iframe|object)\b|@import|@font-face", html)
    page = Page(html)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert len(page.ids) == len(set(page.ids)), "ids of different figures must not meet"
    assert all(target in page.ids for target in re.findall(r"url\(#([^)]+)\)", html))


def test_says_what_summary_json_says(run: Path) -> None:
    text, told = Page(report(run)).text, summary(run)
    for name, cost in told["cost_chf"].items():
        amounts = (cost["uncoordinated"], cost["coordinated"], cost["compensation"], told["fee_chf"][name])
        cells = [name, name, *map(number, amounts)]
        assert " ".join([*cells, number(told["curtailed_kwh"][name], 2)]) in text
    total = told["total_cost_chf"]
    assert f"total {number(total['uncoordinated'])} {number(total['coordinated'])} " in text
    for expected in (
        told["name"], told["config_sha256"], told["version"], told["created_at"], "21 June 2018", "Converged",
        percent(told["gap_rel"]), str(told["iterations"]), f"{told['wall_s']:.2f} s",
        f"gridlab plan {told['config']} --splitting",
        f"{told['ac']['v_min_pu']:.4f} … {told['ac']['v_max_pu']:.4f}", magnitude(told["ac"]["violation_max_pu"]),
    ):  # fmt: skip
        assert expected in text


def test_every_figure_shows_every_prosumer_in_its_colour(run: Path) -> None:
    found = drawings(report(run))
    assert tuple(found) == FIGURES
    expected_panels = {"uncoordinated": 5, "coordinated": 5, "extremes": 2, "exchange": 3, "convergence": 4}
    assert {key: len(panels(drawing)) for key, drawing in found.items()} == expected_panels
    for drawing in found.values():
        assert all(len(list(panel.iter(f"{SVG}path"))) > NOTHING for panel in panels(drawing))
    for key in ("uncoordinated", "coordinated", "exchange"):
        assert {"N3", "N4", "N5", "N7", "N9"} <= set(texts(found[key]))
        for color in COLOURS[:5]:
            assert strokes(found[key], color) >= 2, "legend and line"
    assert {"00:00", "12:00", "24:00", "tariff", "limit", "curtailed"} <= set(texts(found["coordinated"]))


def test_axes_have_units(run: Path) -> None:
    found = drawings(report(run))
    labels = " ".join(texts(found["coordinated"]))
    for expected in ("(CHF/kWh)", "charge (%)", "battery (kW)", "PV (kW)", "voltage (p.u.)", "(Europe/Zurich)"):
        assert expected in labels
    assert "primal (kW)" in texts(found["convergence"])


def test_state_of_charge_stands_at_the_end_of_its_step(run: Path) -> None:
    """The first point is one step, 1/144 of the axis, to the right of its left end; the last is at the right end."""
    soc = panels(drawings(report(run))["uncoordinated"])[1]
    frame, *others = [path.attrib["d"] for path in soc.iter(f"{SVG}path")]
    left, right = xs(frame)[0], max(xs(frame))
    line = xs(max(others, key=len))
    assert line[0] == pytest.approx(left + (right - left) / 144, abs=0.05)
    assert line[-1] == pytest.approx(right, abs=0.05)


def test_rebuilt_by_the_command_to_the_same_bytes(run: Path, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "report.html").unlink()
    ended = gridlab(capsys, "report", copy)
    assert (ended.code, ended.err) == (0, "")
    assert str(copy / "report.html") in ended.out
    assert report(copy) == report(run)


def test_what_was_violated_when(run: Path) -> None:
    """The table against the CSV files, by an independent count."""
    days = record(run)
    nodes = pd.read_csv(run / "uncoordinated_nodes.csv")
    outside = nodes[(nodes["v_pu"] > 1.05 + 2e-4) & (nodes["node"] != "N1")]
    found = excursions(days, days.uncoordinated)
    above = {what: excursion for (what, sign), excursion in found.items() if sign > 0 and what.startswith("N")}
    assert {what: excursion.steps for what, excursion in above.items()} == outside.groupby("node").size().to_dict()
    worst = outside.loc[outside["v_pu"].idxmax()]
    assert f"{worst['v_pu']:.4f} at {worst['time'][11:16]}" in Page(report(run)).text
    assert not excursions(days, days.result), "a converged day is within its tolerance"
    text = Page(report(run)).text
    assert "With coordination nothing left its limits." in text
    then = pd.read_csv(run / "uncoordinated_plan.csv").groupby("time").sum(numeric_only=True).loc[worst["time"]]
    assert number(then["battery_kw"], 1) == "0.0"
    assert f"PV {number(then['pv_kw'], 1)} kW against load {number(then['load_kw'], 1)} kW" in text


def test_every_figure_of_the_paper_has_its_place(run: Path) -> None:
    page, config = Page(report(run)), CONFIGS / "gridlab9.yaml"
    assert {"#uncoordinated", "#coordinated", "#convergence", "#costs"} == set(page.links) - {
        link for link in page.links if link[1:].split("-")[0] in FIGURES and "-" in link
    }
    for command in ("study rho {}", "study price-response {}", "simulate {} --start 10:00 --end 19:00"):
        assert f"gridlab {command.format(config)}" in page.text
    assert all(f"{kind} {k}" in page.text for kind, k in (*(("Figure", k) for k in range(3, 9)), ("Table", 3)))


def test_two_plans_side_by_side(run: Path, selfish: Path, copy: Path) -> None:
    html = write_report(copy, selfish).read_text(encoding="utf-8")
    text, ours, theirs = Page(html).text, summary(run), summary(selfish)
    costs = [told["total_cost_chf"]["coordinated"] for told in (ours, theirs)]
    assert f"cost of the day (CHF) {number(costs[0])} {number(costs[1])} {number(costs[1] - costs[0])}" in text
    assert f"certified gap {number(ours['gap_rel'], 5)} – –" in text
    n9 = [told["cost_chf"]["N9"] for told in (ours, theirs)]
    assert f"N9 {number(n9[0]['coordinated'])} {number(n9[1]['coordinated'])} {number(n9[0]['compensation'])}" in text
    assert "profile splitting uncoordinated difference" in text
    assert f"{theirs['config_sha256']}: gridlab plan {CONFIGS / 'gridlab9.yaml'} --uncoordinated" in text
    assert tuple(drawings(html)) == FIGURES


def test_a_dark_page_changes_what_is_no_prosumer(run: Path) -> None:
    """Every colour that a figure leaves to the page has one for the dark; prosumers keep theirs."""
    html = report(run)
    used = dict(re.findall(r"var\((--figure-[a-z-]+), (#[0-9a-f]{6})\)", html))
    dark = html[html.index("prefers-color-scheme: dark") : html.index("* { box-sizing")]
    assert set(used) >= {"--figure-ink", "--figure-paper", "--figure-tariff", "--figure-limit", "--figure-outside"}
    assert {f"--figure-{name}" for name in THEMED.values()} == set(re.findall(r"(--figure-[a-z-]+):", dark))
    assert not {colour.lower() for colour in COLOURS} & set(used.values())


def test_uncoordinated_run(selfish: Path) -> None:
    html = report(selfish)
    assert tuple(drawings(html)) == ("uncoordinated", "extremes", "exchange")
    text = Page(html).text
    assert "Not coordinated" in text
    assert f"gridlab plan {CONFIGS / 'gridlab9.yaml'} --uncoordinated" in text
    assert "compensation" not in text
    assert "Certified gap" not in text


def test_limits_that_nobody_can_hold(infeasible: Path) -> None:
    told = summary(infeasible)
    assert told["status"] == "infeasible"
    text = Page(report(infeasible)).text
    banner = text[text.index("Limits that nobody can hold") :][:900]
    assert f"{told['unheld']['violation_pu']:.4f} p.u." in banner
    assert f"{number(told['unheld']['cost_chf'], 2)} CHF" in banner
    assert re.search(r"N\d above 1\.05 p\.u\. for .* worst 1\.\d{4} at \d\d:\d\d", banner)


@pytest.mark.parametrize("status", ["iterations", "budget"])
def test_not_converged_without_bound(copy: Path, status: str) -> None:
    rewrite(copy, lambda data: data.update(status=status, gap_rel=None, lower_bound_chf=None))
    text = Page(header(record(copy))).text
    assert "Not converged" in text
    assert "gap unknown" in text
    assert "no lower bound" in text


def test_a_single_round_without_a_bound(copy: Path) -> None:
    with_table(copy, "iterations.csv", lambda table: table.assign(gap_rel=np.nan, linearisation_pu=0).head(1))
    days = record(copy)
    drawn = convergence_figure(days.summary.scenario, days.iterations)
    drawing = drawings(svg.inline(svg.rendered(drawn), "convergence", "…"))["convergence"]
    assert len(panels(drawing)) == 4


def test_batteries_that_charge_and_discharge_at_once(copy: Path) -> None:
    rewrite(copy, lambda data: data["simultaneous_kw"].update(N5=0.75))
    assert (
        "N5: the plan, of an older version, charges and discharges 0.75 kW at once" in Page(header(record(copy))).text
    )


def test_everything_is_escaped(copy: Path) -> None:
    evil = "<script>alert(1)</script>&\"'"
    rewrite(copy, lambda data: data.update(name=evil, version=evil, config_sha256=evil))
    html = write_report(copy).read_text(encoding="utf-8")
    assert "<script" not in html
    assert evil in Page(html).text


def test_names_that_look_like_numbers_markup_or_nothing(copy: Path) -> None:
    names = {"N3": "007", "N4": "NA", "N5": "$x_1$", "N7": "_<b>", "N9": "-"}
    for file in copy.glob("*.csv"):
        text = file.read_text(encoding="utf-8")
        for old, new in names.items():
            text = re.sub(rf"(?<=,){old}(?=,)", new, text)
        file.write_text(text, encoding="utf-8")
    text = (copy / "summary.json").read_text(encoding="utf-8")
    for old, new in names.items():
        text = text.replace(f'"{old}"', json.dumps(new))
    (copy / "summary.json").write_text(text, encoding="utf-8")
    found = drawings(write_report(copy).read_text(encoding="utf-8"))
    assert set(names.values()) <= set(texts(found["coordinated"]))


def test_limits_of_slack_and_lines(copy: Path) -> None:
    rewrite(copy, lambda data: data["scenario"].update(line_i_max_a={"N1-N2": 20}))
    days = record(copy)
    found = excursions(days, days.uncoordinated)
    q_kvar = pd.read_csv(copy / "uncoordinated_slack.csv")["q_kvar"]
    q_max_kvar = 25 * np.sqrt(1 - 0.99**2)
    assert found["upper grid, reactive power", 1].steps == (q_kvar > q_max_kvar + 0.05).sum() > 0
    i_a = days.uncoordinated.i_a["N1-N2"]
    assert found["line N1-N2", 1].steps == (i_a > 20 + 2e-4 / 0.1 * 20).sum() > 0
    text = Page(excursion_tables(days)).text
    assert "upper grid, reactive power above 3.527 kvar" in text
    assert "line N1-N2 above 20 A" in text


def test_collapse_is_no_voltage(copy: Path) -> None:
    noon = "2018-06-21T12:00:00+02:00"
    with_table(
        copy,
        "uncoordinated_nodes.csv",
        lambda t: t.assign(v_pu=t["v_pu"].where((t["time"] != noon) | (t["node"] == "N1"), 0)),
    )
    days = record(copy)
    assert days.uncoordinated.v_pu.isna().any(axis=1).sum() == 1
    found = excursions(days, days.uncoordinated)["N9", -1]
    assert edge(days.axis, found.worst) == "12:00"
    assert "collapse at 12:00" in Page(excursion_tables(days)).text
    assert "the grid would collapse" in participants_note(days)
    day = days.uncoordinated
    figures = (day_figure(days.drawing, day.plan, day.v_pu, False), exchange_figure(days), extremes_figure(days))
    assert all(figure.axes for figure in figures)


def test_large_grid_shows_everybody_as_a_band_and_a_few_as_lines(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", feeder(tmp_path / "config", 30, pv_kw=150), max_iterations=12)
    html = report(run)
    assert len(html.encode()) < MAX_BYTES
    page, found = Page(html), drawings(html)
    assert all(f"house_{k} " in page.text for k in range(30)), "the table has everybody"
    participants = record(run).participants
    assert len(participants.shown) == 5
    compensations = {name: cost["compensation"] for name, cost in summary(run)["cost_chf"].items()}
    assert max(compensations.values()) > 0.01, "else the case shows nothing"
    assert max(compensations, key=compensations.__getitem__) in participants.shown
    for key in ("uncoordinated", "coordinated"):
        labels = texts(found[key])
        assert set(participants.shown) <= set(labels)
        assert {"all 30", "middle 80 %", "median"} <= set(labels)
        assert sum(label.startswith("house_") for label in labels) == 5
        assert len(list(found[key].iter(f"{SVG}path"))) < 300


@pytest.mark.parametrize(("date", "hours"), [("2018-03-25", 23), ("2018-10-28", 25)])
def test_days_on_which_the_clocks_change(tmp_path: Path, date: str, hours: int) -> None:
    run = planned(tmp_path / "run", feeder(tmp_path / "config", 4, date=date), max_iterations=5)
    html = report(run)
    drawing = drawings(html)["coordinated"]
    assert f"local time (Europe/Zurich, a day of {hours} hours)" in texts(drawing)
    assert [t for t in texts(drawing) if re.fullmatch(r"\d\d:00", t)] == [f"{h:02d}:00" for h in range(0, 25, 3)]
    assert f"{hours} steps of 60 min" in html
    assert " CE" in Page(html).text, "local times tell winter from summer"


@pytest.mark.parametrize(
    ("given", "expected_panels"),
    [({"battery": False}, 3), ({"pv": False}, 4), ({"battery": False, "pv": False}, 2)],
)
def test_prosumers_without_batteries_or_pv(tmp_path: Path, given: dict[str, bool], expected_panels: int) -> None:
    run = planned(tmp_path / "run", feeder(tmp_path / "config", 3, **given), max_iterations=5)
    found = drawings(report(run))
    assert len(panels(found["coordinated"])) == expected_panels
    assert len(panels(found["exchange"])) == (3 if given.get("battery", True) else 2)


def repeat_row(run: Path) -> None:
    with_table(run, "uncoordinated_lines.csv", lambda table: pd.concat([table[:-1], table[:1]]))


def word_in_a_number(run: Path) -> None:
    with_table(run, "plan.csv", lambda table: table.astype({"p_kw": object}).replace({"p_kw": {table.p_kw[5]: "x"}}))


def hole(run: Path) -> None:
    with_table(run, "lines.csv", lambda table: table.assign(i_a=table["i_a"].where(table.index != 3)))


def infinity(run: Path) -> None:
    with_table(run, "lines.csv", lambda table: table.assign(i_a=table["i_a"].where(table.index != 3, np.inf)))


def bad_time(run: Path) -> None:
    with_table(run, "nodes.csv", lambda table: table.assign(time=table["time"].where(table.index != 3, "noon")))


def truncated_summary(run: Path) -> None:
    (run / "summary.json").write_text((run / "summary.json").read_text(encoding="utf-8")[:400], encoding="utf-8")


CORRUPTIONS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no folder": (shutil.rmtree, "summary.json"),
    "no table": (lambda run: (run / "nodes.csv").unlink(), "nodes.csv"),
    "no baseline": (lambda run: (run / "uncoordinated_plan.csv").unlink(), "uncoordinated_plan.csv"),
    "empty file": (lambda run: (run / "plan.csv").write_text(""), "plan.csv"),
    "no text": (lambda run: (run / "plan.csv").write_bytes(b"\xff\xfe\x00"), "plan.csv"),
    "truncated summary": (truncated_summary, "summary.json"),
    "dropped column": (
        lambda run: with_table(run, "plan.csv", lambda table: table.drop(columns="soc")),
        "plan.csv: soc",
    ),
    "dropped row": (lambda run: with_table(run, "nodes.csv", lambda table: table.drop(index=17)), "nodes.csv: time"),
    "repeated row": (repeat_row, "uncoordinated_lines.csv: time"),
    "word": (word_in_a_number, "plan.csv: p_kw"),
    "slack of another day": (lambda run: with_table(run, "slack.csv", lambda table: table.head(9)), "slack.csv: time"),
    "hole": (hole, "lines.csv: i_a"),
    "infinity": (infinity, "lines.csv: i_a"),
    "bad time": (bad_time, "nodes.csv"),
    "empty plan": (lambda run: with_table(run, "plan.csv", lambda table: table.head(0)), "plan.csv"),
    "missing key": (lambda run: rewrite(run, lambda data: data.pop("ac")), "summary.json: ac: got nothing"),
    "wrong type": (lambda run: rewrite(run, lambda data: data.update(wall_s="fast")), "summary.json: wall_s"),
    "other names": (lambda run: rewrite(run, lambda data: data["fee_chf"].pop("N9")), "summary.json: fee_chf"),
    "other slack": (lambda run: rewrite(run, lambda d: d["scenario"].update(slack="N0")), "summary.json: scenario"),
    "no such zone": (lambda run: rewrite(run, lambda d: d["scenario"].update(timezone="X/Y")), "scenario.timezone"),
    "other schema": (lambda run: rewrite(run, lambda data: data.update(schema_version=99)), "schema_version"),
    "another command": (lambda run: rewrite(run, lambda data: data.update(command="dance")), 'command: got "dance"'),
    "a closed loop": (lambda run: rewrite(run, lambda data: data.update(command="simulate")), "summary.json: start"),
}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_what_is_no_run_is_bad_input(copy: Path, corruption: str, capsys: pytest.CaptureFixture[str]) -> None:
    corrupt, expected = CORRUPTIONS[corruption]
    corrupt(copy)
    with pytest.raises(InputError, match=re.escape(expected)):
        write_report(copy)
    ended = gridlab(capsys, "report", copy)
    assert ended.code == 2
    assert "Traceback" not in ended.err
