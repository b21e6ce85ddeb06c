"""The studies of the penalty: both splittings in the table and in the figure, whatever the sign of the numbers."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from controller import cli
from controller.report.study.figures import LOOKS, price_response_figure, rho_figure
from controller.studies import penalty as study
from tests.support.paths import CONFIGS

SVG = "{http://www.w3.org/2000/svg}"
RHO_COLUMNS = ["splitting", "rho_rel", "rho", "primal", "dual", "gap_rel", "violation_pu", "schema_version"]
RESPONSE_COLUMNS = [
    "splitting", "rho_rel", "rho", "cost_chf", "cost_increase_chf", "violation_pu", "schema_version",
]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both studies by the real program, with three points and few rounds."""
    folder = tmp_path_factory.mktemp("studies")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "PAPER_ITERATIONS", 8)
        patch.setattr(study, "RHO_RANGE", np.logspace(-1, 1, 3))
        patch.setattr(study, "RESPONSE_RANGE", np.logspace(-3, 1, 3))
        for command in ("rho", "price-response"):
            words = ["gridlab", "study", command, CONFIGS / "gridlab9.yaml", "--out", folder / command, "--quiet"]
            patch.setattr(sys, "argv", [str(word) for word in words])
            with pytest.raises(SystemExit) as ended:
                cli.main()
            assert not ended.value.code
    return folder


def drawn(path: Path) -> list[ElementTree.Element]:
    """The panels of a figure."""
    return [g for g in ElementTree.parse(path).iter(f"{SVG}g") if g.attrib.get("id", "").startswith("axes_")]


def markers(panel: ElementTree.Element, color: str) -> int:
    return sum(color.lower() in use.attrib.get("style", "").lower() for use in panel.iter(f"{SVG}use"))


@pytest.mark.parametrize(
    ("command", "name", "columns", "n_panels"),
    [("rho", "rho", RHO_COLUMNS, 4), ("price-response", "price_response", RESPONSE_COLUMNS, 2)],
)
def test_both_splittings_in_table_and_figure(
    runs: Path, command: str, name: str, columns: list[str], n_panels: int
) -> None:
    run = runs / command
    assert {path.name for path in run.iterdir()} == {
        f"{name}.csv",
        f"{name}.svg",
        "report.html",
        "summary.json",
        "figures",
    }
    table = pd.read_csv(run / f"{name}.csv")
    assert list(table.columns) == columns
    assert table.groupby("splitting").size().to_dict() == {"constraint": 3, "profile": 3}
    assert table.notna().all(axis=None)
    assert np.allclose(table["rho"] / table["rho_rel"], table["rho"][0] / table["rho_rel"][0])

    panels = drawn(run / f"{name}.svg")
    assert len(panels) == n_panels
    for panel in panels:
        assert all(markers(panel, look.color) == 3 for look in LOOKS.values())
    text = (run / f"{name}.svg").read_text(encoding="utf-8")
    assert "profile splitting" in text
    assert "constraint splitting" in text

    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert (summary["command"], summary["schema_version"]) == (f"study {name}", 1)


def test_a_signal_without_penalty_enforces_nothing(runs: Path) -> None:
    """Cost and violation are largest where ρ is smallest (paper A, section 5.5)."""
    table = pd.read_csv(runs / "price-response" / "price_response.csv")
    for _, rows in table.groupby("splitting"):
        assert rows["violation_pu"].idxmax() == rows["rho_rel"].idxmin()
        assert rows["cost_increase_chf"].idxmax() == rows["rho_rel"].idxmin()
        assert rows["violation_pu"].iloc[-1] < 3e-4


def test_zero_and_negative_numbers_stay_in_the_figure(tmp_path: Path) -> None:
    rho = [0.1, 1.0, 10.0]
    table = pd.DataFrame(
        {
            "splitting": "profile",
            "rho_rel": rho,
            "rho": rho,
            "primal": [1.0, 0.1, 0.0],
            "dual": [0.0, 0.0, 0.0],
            "gap_rel": [-0.1, np.nan, 0.01],
            "violation_pu": [0.01, 0.0, 0.001],
        }
    )
    rho_figure(table, "CHF", tmp_path / "rho.svg")
    primal, dual, gap, violation = drawn(tmp_path / "rho.svg")
    blue = LOOKS["profile"].color
    assert [markers(panel, blue) for panel in (primal, dual, gap, violation)] == [3, 3, 2, 3]
    assert "hollow: negative" in (tmp_path / "rho.svg").read_text(encoding="utf-8")
    assert "constraint" not in (tmp_path / "rho.svg").read_text(encoding="utf-8")


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"splitting": "profile", "rho_rel": [1.0, 2.0], "cost_increase_chf": [1.0, -2.0], "violation_pu": [0.0, 1e-5]}
    )
    for name in ("a.svg", "b.svg"):
        price_response_figure(table, "CHF", tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "<dc:date>" not in (tmp_path / "a.svg").read_text(encoding="utf-8")
