from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from controller.live.server import live_server
from controller.live.state import LiveState
from controller.record.records import CycleRecord, DeviceRecord
from controller.service.alarms import AlarmLog
from core.config import Config
from core.devices import Quality
from tests.support.browser import Page, browser
from tests.support.cycle_records import cycle, mpc
from tests.support.requirements import tool

RENDERED = "document.querySelectorAll('[data-prosumer]').length == 5"


@pytest.fixture
def state(gridlab9_config: Config) -> LiveState:
    return LiveState(gridlab9_config)


@asynccontextmanager
async def opened(state: LiveState, profile: Path, **window) -> AsyncIterator[Page]:
    program = tool("chromium", "chromium")
    async with live_server(state) as port, browser(program, profile) as page:
        await page.open(f"http://127.0.0.1:{port}/", **window)
        yield page


def watched(state: LiveState, record: CycleRecord) -> CycleRecord:
    book = AlarmLog(state.site)
    book.after(record, None)
    standing, _ = book.after(record, None)
    return replace(record, alarms=standing)


async def text(page: Page, selector: str) -> str:
    return await page.value(
        f"document.querySelector({selector!r})?.innerText ?? document.querySelector({selector!r})?.textContent"
    )


async def row(page: Page, prosumer: str, title: str) -> list[str]:
    rows = f"[...document.querySelectorAll('[data-prosumer={prosumer}] tr')]"
    return await page.value(
        f"{rows}.map(r => [...r.cells].map(c => c.innerText)).find(r => r[0] == {title!r}).slice(1)"
    )


async def test_the_page_shows_the_record_and_then_the_next(state: LiveState, tmp_path: Path):
    state.publish(cycle(0))
    state.publish_mpc(mpc(0))
    async with opened(state, tmp_path) as page:
        await page.until(RENDERED)
        assert await text(page, "#mode") == "ACTIVE"
        assert await text(page, "#time") == "2018-06-21 12:00:00"
        assert "not of this clock" in await text(page, "#age")
        for node, v_pu in cycle(0).nodes.items():
            assert await text(page, f"[data-node={node}]") == f"{v_pu:.4f}"
        assert await text(page, "[data-line=N3-N4]") == "4.5 A"
        assert await text(page, "[data-line=N2-N6]") == "—"
        n4 = cycle(0).prosumers["N4"]
        assert await row(page, "N4", "setpoint") == [f"{n4.p_setpoint_kw:.2f}", f"−{-n4.q_setpoint_kvar:.2f}"]
        assert await row(page, "N3", "measured") == ["—", "—"]
        assert "battery saturated, ramp" in await text(page, "[data-prosumer=N4]")
        assert "50.0 %" in await text(page, "[data-prosumer=N4]")
        assert (await text(page, "[data-price=N9]")).split() == ["N9", "0.2500", "0.2000", "+0.0500", "−0.0100"]
        assert "converged" in await text(page, "#mpc")
        assert "0.010 %" in await text(page, "#mpc")
        assert "No alarms" in await text(page, "#alarms")
        state.publish(watched(state, replace(cycle(1), nodes={"N9": 1.0612, "N4": 0.9421}, missed=3)))
        await page.until("document.querySelector('[data-node=N9]').textContent === '1.0612 ▲'")
        assert (await text(page, "#time")).endswith("12:00:30")
        assert await text(page, "[data-node=N4]") == "0.9421 ▼"
        assert await text(page, "[data-node=N2]") == "—"
        assert "▲ N9\n1.0612 p.u., allowed 0.95 … 1.05 p.u.\nsince 12:00:30" in await text(page, "#alarms")
        assert await page.value("document.title") == "▲ 2 · gridlab9 · gridlab"
        assert page.faults == []


async def test_words_of_a_device_are_text_and_no_markup(state: LiveState, tmp_path: Path):
    name = "<img src=x onerror=alert(1)>"
    state.publish(watched(state, replace(cycle(0), devices={name: DeviceRecord(None, Quality.STALE, None)})))
    async with opened(state, tmp_path) as page:
        await page.until(RENDERED)
        assert name in await text(page, "#alarms")
        assert page.faults == []


async def test_the_page_waits_goes_off_and_says_that_nothing_comes(state: LiveState, tmp_path: Path):
    async with opened(state, tmp_path) as page:
        await page.until("document.querySelector('#banner').textContent == 'Waiting for the first cycle.'")
        state.publish(cycle(0))
        await page.until(RENDERED)
        assert await page.value("document.querySelector('#banner').hidden")
        state.publish_mode("off")
        await page.until("document.querySelector('#banner').textContent.startsWith('OFF: no device')")
        state.publish_mode("monitor")
        await page.until("document.querySelector('#banner').hidden")
        await page.value(
            "(() => { const now = performance.now; performance.now = () => now.call(performance) + 80e3; })()"
        )
        await page.until("/^Connection lost, no update for 8\\d s/.test(document.querySelector('#banner').textContent)")
        assert await page.value("document.body.classList.contains('old')")
        assert page.faults == []


async def test_a_silent_loop_is_said_from_a_lost_connection(
    state: LiveState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("controller.live.server.BEAT_S", 0.1)
    state.publish(cycle(0))
    assert state._published_s is not None
    state._published_s -= 76
    async with opened(state, tmp_path) as page:
        await page.until("document.querySelector('#banner').textContent.includes('the control loop is silent')")
        banner = await text(page, "#banner")
        assert banner.startswith("No update for 7")
        assert banner.endswith("What is shown is of 12:00:00.")


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1920, False)])
async def test_phone_and_projector_show_it_without_sideways_scrolling(
    state: LiveState, tmp_path: Path, width: int, dark: bool
):
    state.publish(cycle(0))
    state.publish_mpc(mpc(0))
    async with opened(state, tmp_path, width=width, dark=dark) as page:
        await page.until(RENDERED)
        assert await page.value("document.documentElement.scrollWidth") <= width
        lightness = "Math.max(...getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number))"
        assert (await page.value(lightness) < 64) == dark
        smallest = (
            "Math.min(...[...document.querySelectorAll('#grid text')].map(t => t.getBoundingClientRect().height))"
        )
        assert await page.value(smallest) >= 12
        assert page.faults == []
