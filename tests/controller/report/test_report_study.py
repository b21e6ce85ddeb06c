"""The report of a study: its figure, all its points, and how to get them again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from controller.report import write_report
from controller.report.primitives.amounts import magnitude
from controller.report.study.figures import LOOKS
from controller.report.study.page import KINDS
from controller.runs.directory import write_table
from core.errors import InputError
from tests.support.commands import gridlab
from tests.support.reports import Page, drawings, panels, strokes, with_table

PANELS = {"study rho": 4, "study price_response": 2}


def study(folder: Path, command: str, **more: Any) -> Path:
    """A study of three points for each splitting."""
    folder.mkdir()
    kind, rho = KINDS[command], np.logspace(-1, 1, 3)
    frames = [
        pd.DataFrame({"splitting": name, "rho_rel": rho, "rho": 0.014 * rho}).assign(
            **{quantity: 1.2345e-3 / rho for quantity, _ in kind.panels}
        )
        for name in LOOKS
    ]
    write_table(folder / kind.file, pd.concat(frames))
    summary = {
        "schema_version": 1,
        "command": command,
        "name": "gridlab9",
        "created_at": "2018-06-20T21:00:00+00:00",
        "config_sha256": "0" * 64,
    }
    (folder / "summary.json").write_text(json.dumps(summary | more), encoding="utf-8")
    return folder


@pytest.mark.parametrize("command", KINDS)
def test_figure_points_and_origin(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = study(tmp_path / "study", command, config="lab one.yaml", version="1.2.3")
    assert gridlab(capsys, "report", run).code == 0
    html = (run / "report.html").read_text(encoding="utf-8")
    page, (drawing,) = Page(html), drawings(html).values()
    assert len(panels(drawing)) == PANELS[command]
    assert all(strokes(drawing, look.color) for look in LOOKS.values())
    assert page.text.count(magnitude(1.2345e-2)) >= 2 * PANELS[command], "every point of the least penalty"
    assert f"gridlab {KINDS[command].command} 'lab one.yaml'" in page.text
    assert "gridlab 1.2.3" in page.text
    assert "0" * 64 in page.text
    assert "#study-0" in page.links


def test_both_studies_on_one_page(tmp_path: Path) -> None:
    one, other = (study(tmp_path / str(k), command) for k, command in enumerate(KINDS))
    html = write_report(one, other).read_text(encoding="utf-8")
    page = Page(html)
    assert tuple(drawings(html)) == ("study-0", "study-1")
    assert {"#study-0", "#study-1"} <= set(page.links)
    assert len(page.ids) == len(set(page.ids))
    assert "gridlab study rho CONFIG" in page.text
    assert "gridlab study price-response CONFIG" in page.text
    assert "not recorded" in page.text


def test_unknown_points_are_said_to_be_unknown(tmp_path: Path) -> None:
    run = study(tmp_path / "study", "study rho")
    with_table(run, "rho.csv", lambda table: table.assign(gap_rel=np.nan))
    assert " – " in Page(write_report(run).read_text(encoding="utf-8")).text


def test_what_is_no_study_is_bad_input(tmp_path: Path) -> None:
    run = study(tmp_path / "study", "study rho")
    with_table(run, "rho.csv", lambda table: table.drop(columns="dual"))
    with pytest.raises(InputError, match=r"rho\.csv: dual"):
        write_report(run)
    (run / "rho.csv").unlink()
    with pytest.raises(InputError, match=r"rho\.csv"):
        write_report(run)
