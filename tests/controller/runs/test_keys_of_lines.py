"""Every line has a key of its own wherever lines appear: tables of a run, telemetry, the live page."""

from pathlib import Path

from controller.live.site import PageSite
from controller.process.clocks import WallClock
from controller.service.describe import Places, limits_record
from controller.studies.day_ahead import plan, planned_day
from core.config import Config
from core.load import config_of, load_config, load_yaml
from tests.support.paths import ROOT

PATH = ROOT / "tests/cases/grids/51b-line-names-coincide-house-numbers/config.yaml"
NAMES = ["T-1-2", "T-1-T", "house_1-2"]


def named() -> Config:
    """Case 51b with a name for the line that would have that of another."""
    document = load_yaml(PATH)
    assert isinstance(document, dict)
    document["grid"]["lines"][2] |= {"name": "house_1-2", "i_max_a": 40.0}
    document["horizon"]["step_min"] = 360
    return config_of(document, PATH)


def test_tables_have_every_line() -> None:
    planned = planned_day(named(), PATH, WallClock())
    lines = planned.tables()["lines"]
    assert sorted(lines.line.unique()) == NAMES
    assert not lines.duplicated(["time", "line"]).any()
    assert (lines.groupby("line").i_a.max() > 0).all()
    assert planned.summary["scenario"]["line_i_max_a"] == {"house_1-2": 40.0}


def test_names_in_any_script_are_in_the_report(tmp_path: Path) -> None:
    """Case 53: the font of the figures has no such letters, which is no warning to the user."""
    path = ROOT / "tests/cases/grids/53-umlaut-names/config.yaml"
    config = load_config(path)
    horizon = config.horizon.model_copy(update={"step_min": 360})
    plan(config.model_copy(update={"horizon": horizon}), path, tmp_path / "run", WallClock())
    page = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert "東京_1" in page
    assert "Küche-Süd" in page


def test_telemetry_and_page_have_every_line() -> None:
    config = named()
    network = config.grid.network()
    assert sorted(limits_record(config, network).i_max_a) == NAMES
    assert Places.of(config, network).feeds == {"2": "T-1-2", "T": "T-1-T", "1-2": "house_1-2"}
    assert sorted(line.name for line in PageSite.of(config).lines) == NAMES
