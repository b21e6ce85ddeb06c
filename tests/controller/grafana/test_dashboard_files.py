"""What lies in configs/grafana: made by the generator, complete, and the same everywhere."""

from pathlib import Path

import pytest
import yaml

pytest.importorskip("grafana_foundation_sdk", reason="without the extra gridlab[grafana]")

from controller.grafana.__main__ import main
from controller.grafana.files import BOARDS, files
from controller.live.site import COLOURS, PageSite
from controller.record.measurements import MEASUREMENTS, TEXT
from core.config import Config
from tests.controller.grafana import provisioned
from tests.controller.grafana.provisioned import FOLDER, PROVISIONING, Names
from tests.support.paths import CONFIG


@pytest.fixture(scope="module")
def made(gridlab9_config: Config) -> dict[str, str]:
    return files(PageSite.of(gridlab9_config))


def all_queries() -> list[tuple[str, str]]:
    panels = [(str(query), query.text) for query in provisioned.panel_queries()]
    return [*panels, *((f"alert {name}: {text}", text) for name, text in provisioned.rule_queries())]


def test_committed_files_are_those_of_the_generator(made: dict[str, str]) -> None:
    committed = {path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("dashboards/*")}
    assert committed == {name for name in made if name.startswith("dashboards/")}
    stale = [name for name, text in made.items() if (FOLDER / name).read_text(encoding="utf-8") != text]
    assert not stale, f"{stale}: run `make dashboards`"


def test_the_command_writes_them(made: dict[str, str], tmp_path: Path) -> None:
    assert main([str(CONFIG), "--out", str(tmp_path)]) == 0
    assert {name: (tmp_path / name).read_text(encoding="utf-8") for name in made} == made


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.yaml")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "file").touch()
    assert main([str(CONFIG), "--out", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith(f"--out: got {tmp_path / 'file'}; allowed: a folder")


def test_other_prosumers_have_their_own_colours(gridlab9_config: Config) -> None:
    prosumers = [p.model_copy(update={"name": f"house {n}"}) for n, p in enumerate(gridlab9_config.prosumers)]
    text = files(PageSite.of(gridlab9_config.model_copy(update={"prosumers": prosumers, "currency": "EUR"})))
    assert '"house 4"' in text["dashboards/prices.json"]
    assert "suffix: EUR/kWh" in text["dashboards/prices.json"]
    assert "CHF" not in text["dashboards/prices.json"]


@pytest.mark.parametrize(("where", "text"), all_queries())
def test_a_query_reads_what_the_telemetry_has(where: str, text: str) -> None:
    names = Names.of(text)
    measurement = MEASUREMENTS[names.measurement]
    assert names.read <= {*measurement.fields, measurement.tag}, where
    assert names.columns, where


def test_every_value_is_shown() -> None:
    shown = {
        (n.measurement, field) for q in provisioned.panel_queries() for n in [Names.of(q.text)] for field in n.read
    }
    assert {(m.name, field) for m in MEASUREMENTS.values() for field in m.fields} <= shown


def test_a_value_that_is_not_there_is_found() -> None:
    names = Names.of(
        'SELECT max("each") AS "v" FROM (SELECT last("v_kv") AS "each" FROM "node" WHERE x) WHERE "row" = 1'
    )
    assert names == Names("node", frozenset({"v_kv", "row"}), ("v",))


def test_text_is_not_averaged() -> None:
    for query in provisioned.panel_queries():
        for field in set(TEXT) & Names.of(query.text).read:
            assert f'mean("{field}")' not in query.text, query


def test_dashboards_are_six_and_lead_to_each_other() -> None:
    boards = provisioned.dashboards()
    assert set(boards) == set(BOARDS) == {"overview", "grid", "prices", "prosumers", "coordination", "devices"}
    for slug, board in boards.items():
        assert (board["uid"], board["refresh"], board["time"]) == (
            f"gridlab-{slug}",
            "30s",
            {"from": "now-24h", "to": "now"},
        )
        (link,) = board["links"]
        assert (link["type"], link["tags"], link["keepTime"], link["includeVars"]) == (
            "dashboards",
            ["gridlab"],
            True,
            True,
        )
        assert board["tags"] == link["tags"]
        assert board["description"]


def test_panels_explain_themselves_and_show_gaps() -> None:
    for slug, panel in provisioned.panels():
        where = f"{slug}/{panel['title']}"
        assert panel["description"], where
        assert panel["datasource"] == {"type": "influxdb", "uid": "gridlab"}, where
        if panel["type"] == "timeseries":
            assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False, where
            assert panel["fieldConfig"]["defaults"]["unit"], where
            assert panel["options"]["legend"]["showLegend"], where
    buckets = [q for q in provisioned.panel_queries() if "$__interval" in q.text]
    assert buckets
    assert all(q.text.endswith("fill(null)") and q.interval == "1m" for q in buckets)


def test_a_prosumer_has_one_colour(gridlab9_config: Config) -> None:
    colours = {p.name: colour for p, colour in zip(gridlab9_config.prosumers, COLOURS, strict=False)}
    seen = set()
    for slug, panel in provisioned.panels():
        for override in panel["fieldConfig"]["overrides"]:
            name = override["matcher"]["options"]
            if name in colours:
                properties = {p["id"]: p.get("value") for p in override["properties"]}
                assert properties["color"] == {"mode": "fixed", "fixedColor": colours[name]}, (slug, panel["title"])
                seen.add((slug, panel["title"]))
    assert {slug for slug, _ in seen} == {"overview", "grid", "prices"}


def test_panels_do_not_overlap() -> None:
    for slug, board in provisioned.dashboards().items():
        cells: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            covered = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not covered & cells, (slug, panel["title"])
            assert max(x for x, _ in covered) < 24, (slug, panel["title"])
            cells |= covered
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_an_alert_leads_to_its_panel() -> None:
    panels = {(f"gridlab-{slug}", panel["id"]) for slug, panel in provisioned.panels()}
    for name, rule in provisioned.rules().items():
        assert (rule["dashboardUid"], rule["panelId"]) in panels, name


def test_grafana_expands_nothing_in_alerts_that_is_not_a_query() -> None:
    for name, rule in provisioned.rules().items():
        assert "$" not in yaml.safe_dump({key: value for key, value in rule.items() if key != "data"}), name


def test_no_secret_and_no_address_is_in_the_files() -> None:
    text = (PROVISIONING / "datasources" / "gridlab.yaml").read_text(encoding="utf-8")
    (source,) = yaml.safe_load(text)["datasources"]
    assert (source["uid"], source["type"], source["jsonData"]["version"]) == ("gridlab", "influxdb", "InfluxQL")
    assert (source["url"], source["jsonData"]["dbName"]) == ("$GRIDLAB_INFLUX_URL", "$GRIDLAB_INFLUX_DATABASE")
    assert source["secureJsonData"] == {"httpHeaderValue1": "Token $__file{/etc/gridlab/influx_token}"}
    assert not [path for path in _files() if "://" in path.read_text(encoding="utf-8")]


def test_the_provider_serves_the_dashboards() -> None:
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "gridlab.yaml").read_text(encoding="utf-8"))[
        "providers"
    ]
    assert (provider["type"], provider["options"]) == ("file", {"path": "$GRIDLAB_DASHBOARDS"})


def _files() -> list[Path]:
    return [path for path in FOLDER.rglob("*") if path.is_file()]
