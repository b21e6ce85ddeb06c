"""Runs to report on, and parsed reports: HTML and SVG as data."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import yaml

from controller.report.loop.record import LoopRecord, read_loop
from controller.report.plan.record import Record, read_record
from controller.runs.directory import Run
from controller.studies import day_ahead as planning
from core.load import load_config

SVG = "{http://www.w3.org/2000/svg}"
VOID = {"meta", "br"}


class Clock:
    """A clock that stands still, so that two runs are the same to the last byte."""

    def now(self) -> Any:
        return pd.Timestamp("2018-06-20T21:00:00Z").to_pydatetime()

    def monotonic_s(self) -> float:
        return 0.0


class Page(HTMLParser):
    """Elements, ids and visible text of a page; fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attributes}
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[key] for key in ("href", "src", "xlink:href", "action", "srcset") if key in given]
        if name not in VOID:
            self._open.append(name)

    def handle_startendtag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(name, attributes)
        if name not in VOID:
            self._open.pop()

    def handle_endtag(self, name: str) -> None:
        assert self._open.pop() == name

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "script"):
            self.text += data + " "


def planned(folder: Path, config_path: Path, coordinate: bool = True, **coordination: object) -> Path:
    """A run of ``config_path`` in ``folder``."""
    config = load_config(config_path)
    settings = config.coordination.model_copy(update=coordination)
    config = config.model_copy(update={"coordination": settings})
    planning.plan(config, config_path, folder, Clock(), coordinate)
    return folder


def feeder(folder: Path, n_prosumers: int, **given: Any) -> Path:
    """A configuration of a feeder with ``n_prosumers`` + 2 nodes; the last two prosumers share one."""
    folder.mkdir(exist_ok=True)
    hour = np.arange(24)
    profile = {"time": [f"{h:02d}:00:00" for h in hour], "p": 0.3 + np.exp(-((hour - 19.0) ** 2) / 6)}
    profile["pv"] = np.clip(np.cos((hour - 13) / 7 * np.pi / 2), 0, None)
    pd.DataFrame(profile).to_csv(folder / "day.csv", index=False)
    prosumers = []
    for k in range(n_prosumers):
        prosumer: dict[str, Any] = {"name": f"house_{k}", "node": f"B{min(k, n_prosumers - 2) + 1}"}
        prosumer["load"] = {"forecast": {"file": "day.csv", "p": "p", "scale": given.get("load", 5 / n_prosumers)}}
        if given.get("pv", True):
            prosumer["pv"] = {
                "peak_kw": given.get("pv_kw", 60) / n_prosumers,
                "forecast": {"file": "day.csv", "column": "pv"},
            }
        if given.get("battery", True) and k % 2:
            prosumer["battery"] = {"s_max_kva": 25 / n_prosumers, "energy_kwh": 50 / n_prosumers}
        prosumers.append(prosumer)
    ohms = {"r_mohm": 200, "x_mohm": 100}
    config = {
        "schema_version": 1,
        "name": "feeder",
        "horizon": {"date": given.get("date", "2018-06-21"), "timezone": "Europe/Zurich", "step_min": 60},
        "grid": {
            "voltage_v": 400,
            "slack": "B0",
            "lines": [{"from": f"B{k // 2}", "to": f"B{k + 1}", **ohms} for k in range(n_prosumers + 1)],
        },
        "limits": {"v_min_pu": 0.95, "v_max_pu": 1.05, "slack_s_max_kva": 100, "slack_pf_min": 0.9},
        "currency": "EUR",
        "tariff": {"constant": 0.2},
        "prosumers": prosumers,
    }
    path = folder / "feeder.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def report(run: Path) -> str:
    """The page that was written last: one that differs from an earlier one has the next number."""
    return max(run.glob("report*.html"), key=lambda path: len(path.stem)).read_text(encoding="utf-8")


def drawings(html: str) -> dict[str, ElementTree.Element]:
    """The figures by key, parsed as XML."""
    found = [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]
    return {next(drawing.iter(f"{SVG}g")).attrib["id"].removesuffix("-figure_1"): drawing for drawing in found}


def panels(drawing: ElementTree.Element) -> list[ElementTree.Element]:
    return [g for g in drawing.iter(f"{SVG}g") if re.search(r"-axes_\d+$", g.attrib.get("id", ""))]


def texts(element: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in element.iter(f"{SVG}text")]


def strokes(drawing: ElementTree.Element, color: str) -> int:
    """Paths drawn in a colour."""
    return sum(color.lower() in path.attrib.get("style", "").lower() for path in drawing.iter(f"{SVG}path"))


def xs(path: str) -> list[float]:
    """The x coordinates of path data, in its order."""
    return [float(x) for x in re.findall(r"[MLH](-?[\d.]+)", path)]


def summary(run: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return data


def rewrite(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change summary.json."""
    data = summary(run)
    change(data)
    (run / "summary.json").write_text(json.dumps(data), encoding="utf-8")


def with_table(run: Path, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Change a CSV file."""
    change(pd.read_csv(run / name)).to_csv(run / name, index=False)


def record(run: Path) -> Record:
    return read_record(Run(run))


def loop(run: Path) -> LoopRecord:
    """The data of the report of a closed loop."""
    return read_loop(Run(run))
