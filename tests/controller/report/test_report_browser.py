"""The report in a browser: a plan, a closed loop, and two loops side by side, on a screen, a phone and paper."""

import re
import sqlite3
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pandas as pd
import pytest

from controller.report import write_report
from controller.report.primitives.amounts import number
from tests.support.browser import Page, browser
from tests.support.loops import looped
from tests.support.paths import CONFIGS
from tests.support.reports import planned, summary
from tests.support.requirements import tool

PLAN = ["uncoordinated", "coordinated", "extremes", "exchange", "convergence"]
LOOP = ["run", "voltages", "prosumers", "exchange", "mpc", "cycles", "day-ahead"]
FIRST = "without-and-with"
FIGURES = {"plan": PLAN, "loop": [FIRST, *LOOP], "both": [FIRST, "comparison", *LOOP, "other-day-ahead"]}
DRAWN = """[...document.querySelectorAll('figure svg')].filter(svg => {
    const {width, height} = svg.getBoundingClientRect(); return width > 300 && height > 100;
}).map(svg => svg.querySelector('g').id.replace(/-figure_1$/, ''))"""
CUT = """[...document.querySelectorAll('figure svg')].flatMap(svg => {
    const frame = svg.getBoundingClientRect(), outside = text => {
        const {left, right, top, bottom} = text.getBoundingClientRect();
        return left < frame.left - 1 || right > frame.right + 1 || top < frame.top - 1 || bottom > frame.bottom + 1;
    };
    return [...svg.querySelectorAll('text')].filter(outside).map(text => text.textContent);
})"""
CELLS = """[...document.querySelectorAll('#costs tbody tr, #costs tfoot tr')]
    .map(row => [...row.cells].map(cell => cell.innerText))"""
TILES = "Object.fromEntries([...document.querySelectorAll('.tile')].map(t => t.innerText.split('\\n')))"
A4_WIDTH_PX, A4_HEIGHT_PX = 680, 1016
"""Of a page without its margins, at 96 px an inch."""
TOO_LARGE = """[...document.querySelectorAll('section > *')].filter(part =>
    part.getBoundingClientRect().right > innerWidth + 1 || part.scrollWidth > part.clientWidth + 1 ||
    (part.matches('figure') && part.getBoundingClientRect().height > {height})
    ).map(part => [part.innerText.slice(0, 60), part.scrollWidth, part.clientWidth])"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The default scenario planned, and half an hour of it in closed loop, alone and beside the baseline."""
    folder, config = tmp_path_factory.mktemp("pages"), CONFIGS / "gridlab9.yaml"
    found = {"plan": planned(folder / "plan", config)}
    found["loop"] = looped(folder / "loop", config, (75, 78))
    found["both"] = looped(folder / "both", config, (75, 78))
    write_report(found["loop"])
    write_report(found["both"], looped(folder / "selfish", config, (75, 78), coordinate=False))
    return found


@asynccontextmanager
async def opened(folder: Path, profile: Path, width: int = 1280, *, dark: bool = False) -> AsyncIterator[Page]:
    """The report of ``folder``; it must end without a fault of its own and without a look beyond its file."""
    async with browser(tool("chromium", "chromium"), profile) as page:
        await page.open(f"{folder.as_uri()}/report.html", width, dark=dark)
        yield page
        assert page.faults == []
        assert await page.value("performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize("kind", FIGURES)
async def test_every_figure_is_drawn_and_fits(runs: dict[str, Path], kind: str, tmp_path: Path) -> None:
    async with opened(runs[kind], tmp_path) as page:
        assert await page.value(DRAWN) == FIGURES[kind]
        assert await page.value(CUT) == []
        links = await page.value("[...document.links].map(a => document.querySelector(a.hash) !== null)")
        assert all(links), "every link leads to a chapter of the page"
        assert len(links) >= 3
        await page.open(f"{runs[kind].as_uri()}/report.html", 390)
        assert await page.value("document.documentElement.scrollWidth <= innerWidth"), "on a phone"


async def test_a_plan_says_what_its_summary_says(runs: dict[str, Path], tmp_path: Path) -> None:
    async with opened(runs["plan"], tmp_path) as page:
        told = summary(runs["plan"])
        rows = {name: amounts for name, _, *amounts in await page.value(CELLS)}
        for name, cost in told["cost_chf"].items():
            without, coordinated = cost["uncoordinated"], cost["coordinated"]
            money = (without, coordinated, cost["compensation"], told["fee_chf"][name])
            assert rows[name] == [*map(number, money), number(told["curtailed_kwh"][name], 2)]
        assert rows["total"][1] == number(told["total_cost_chf"]["coordinated"])
        assert (await page.value(TILES))["Rounds"] == str(told["iterations"])
        origin = await page.value("document.querySelector('.origin').innerText")
        assert all(text in origin for text in (told["config_sha256"], told["version"], "nothing is random"))


async def test_a_loop_says_what_its_telemetry_says(runs: dict[str, Path], tmp_path: Path) -> None:
    judged_ns = pd.Timestamp(summary(runs["loop"])["judged_from"]).value
    with closing(sqlite3.connect(runs["loop"] / "telemetry.sqlite")) as telemetry:
        extremes = "SELECT min(v_pu), max(v_pu) FROM node WHERE node != 'N1' AND time >= ?"
        ((low, high),) = telemetry.execute(extremes, (judged_ns,))
        charges = dict(telemetry.execute("SELECT prosumer, soc FROM prosumer ORDER BY time"))
        ((cycles,),) = telemetry.execute("SELECT count(*) FROM service")
    async with opened(runs["loop"], tmp_path) as page:
        tiles = await page.value(TILES)
        assert [float(v_pu) for v_pu in tiles["Measured voltages, p.u."].split(" … ")] == pytest.approx(
            [low, high], abs=0.6e-4
        )
        assert f"{cycles} cycles" in await page.value("document.querySelector('.facts').innerText")
        rows = {name: amounts for name, *amounts in await page.value(CELLS)}
        for name, account in summary(runs["loop"])["settlement"].items():
            assert rows[name][:2] == [number(account["own_optimum_chf"]), number(account["real_chf"])]
            assert float(rows[name][-1]) == pytest.approx(100 * charges[name], abs=0.4), "one cycle later"


async def test_dark_on_a_screen_and_light_on_paper(runs: dict[str, Path], tmp_path: Path) -> None:
    colours = """['body', 'figure'].map(name => getComputedStyle(document.querySelector(name)).backgroundColor)
        .concat(getComputedStyle(document.querySelector('figure svg text')).fill)"""
    async with opened(runs["plan"], tmp_path, dark=True) as page:
        page_dark, figure_dark, text_light = map(brightness, await page.value(colours))
        assert max(page_dark, figure_dark) < 50 < 200 < text_light
        dark = [{"name": "prefers-color-scheme", "value": "dark"}]
        await page.call("Emulation.setEmulatedMedia", media="print", features=dark)
        page_light, figure_light, text_dark = map(brightness, await page.value(colours))
        assert min(page_light, figure_light) == 255
        assert text_dark < 50


@pytest.mark.parametrize("kind", FIGURES)
async def test_nothing_is_cut_on_paper(runs: dict[str, Path], kind: str, tmp_path: Path) -> None:
    async with opened(runs[kind], tmp_path, A4_WIDTH_PX) as page:
        await page.call("Emulation.setEmulatedMedia", media="print")
        assert await page.value(TOO_LARGE.format(height=A4_HEIGHT_PX)) == []
        whole = "getComputedStyle(document.querySelector('figure')).breakInside"
        assert await page.value(whole) == "avoid"
        printed = await page.call("Page.printToPDF", preferCSSPageSize=True)
        pdf = b64decode(printed["data"])
        sizes = set(re.findall(rb"/MediaBox \[0 0 (\d+)[.\d]* (\d+)[.\d]*\]", pdf))
        assert sizes == {(b"594", b"841")}, "A4"


def brightness(colour: str) -> int:
    """Of the brightest part of rgb(…)."""
    return max(map(int, re.findall(r"\d+", colour)[:3]))
