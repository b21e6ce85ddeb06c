"""What a closed loop did not hold is said, first and in numbers."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.report.loop.checks import checks
from controller.report.loop.header import header
from controller.report.loop.tables import check_table
from controller.report.loop.violations import quantity_table
from tests.support.loops import looped
from tests.support.paths import CONFIGS
from tests.support.reports import Page, loop, rewrite, with_table


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 minutes around noon, coordinated."""
    return looped(tmp_path_factory.mktemp("loops") / "coordinated", CONFIGS / "gridlab9.yaml")


def verdicts(folder: Path) -> dict[str, bool | None]:
    return {check.what: check.held for check in checks(loop(folder))}


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], Any], str, str]] = {
    "referee": (
        lambda d: d["referee"].update(violations=2, rules={"ramp": 2}),
        "Setpoints that break a rule of the referee: 2 of 800 frames (ramp 2)",
        "Not safe",
    ),
    "charge": (lambda d: d["soc"]["N5"].update(outside=3), "outside its band: N5 in 3 samples", "Not safe"),
    "missed": (lambda d: d["realtime"].update(missed=1), "Cycles missed: 1 of 160", "Not safe"),
    "left running": (
        lambda d: d["safe"].update(n5_converter=False),
        "Converters in their safe state at the end: all but n5_converter",
        "Not safe",
    ),
    "model": (
        lambda d: d["model_check"].update(worst_pu=0.02, worst_node="N7"),
        "Grid model off the meters, worst: 0.02 p.u. at N7, mean 0.0002, allowed ≤ 0.01 p.u.",
        "Not everything was held",
    ),
    "books": (
        lambda d: [book.update(difference_rel=-0.2) for book in d["energy_books"].values()],
        "Energy balance against the plant, worst: 20 %",
        "Not everything was held",
    ),
    "means": (lambda d: d["measured"].update(outside_10min=9), "14 % (9 of 64)", "Not everything was held"),
    "worst mean": (lambda d: d["measured"].update(worst_mean_pu=0.0051), "0.0051 p.u.", "Not everything was held"),
    "samples": (
        lambda d: d["measured"].update(outside=65, samples=1280),
        "5.1 % (65 of 1280)",
        "Not everything was held",
    ),
    "worst sample": (lambda d: d["measured"].update(worst_pu=0.009), "0.009 p.u.", "Not everything was held"),
    "converged": (lambda d: d["mpc"].update(converged=7), "88 % (7 of 8)", "Not everything was held"),
    "budget": (lambda d: d["mpc"].update(max_ms=61e3), "61.00 s, allowed ≤ 60 s", "Not everything was held"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_was_not_held_is_said_first(copy: Path, broken: str) -> None:
    change, expected, title = BROKEN[broken]
    before = sum(not held for held in verdicts(copy).values())
    rewrite(copy, change)
    assert sum(not held for held in verdicts(copy).values()) >= before
    text = Page(header(loop(copy))).text
    assert title in text
    assert expected in text


def test_the_energy_balance_of_a_few_cycles_is_not_judged(copy: Path) -> None:
    def shorten(data: dict[str, Any]) -> None:
        data["realtime"].update(cycles=119)
        for book in data["energy_books"].values():
            book.update(difference_rel=-0.2)

    rewrite(copy, shorten)
    assert verdicts(copy)["Energy balance against the plant, worst"] is None
    assert "20 %, too few cycles to tell" in Page(check_table(checks(loop(copy)))).text


def test_all_held(copy: Path) -> None:
    rewrite(copy, lambda data: [book.update(difference_rel=0.0) for book in data["energy_books"].values()])
    with_table(copy, "slack.csv", lambda table: table.assign(q_kvar=1.0))
    assert all(verdicts(copy).values())
    assert "Everything was held" in Page(header(loop(copy))).text


def test_what_little_is_outside_is_said_also_where_it_counts_as_held(copy: Path) -> None:
    supply = {"limit_kvar": 3.53, "means_10min": 144, "outside_10min": 1, "worst_kvar": 0.0035}
    rewrite(copy, lambda data: data.update(supply=supply))
    text = Page(header(loop(copy))).text
    assert "Of the reactive power at the supply 0.69 % do, the worst by 0.0035 kvar." in text
    assert "worst beyond 0.0035" in text


def test_limits_of_upper_grid_and_lines(copy: Path) -> None:
    rewrite(copy, lambda data: data["scenario"].update(line_i_max_a={"N1-N2": 5}))
    with_table(copy, "slack.csv", lambda table: table.assign(q_kvar=np.where(table.index < 20, 4.0, 0.0)))
    text = Page(quantity_table(loop(copy))).text
    assert "upper grid, reactive power 1 of 8 0.00 … 4.00 kvar −3.53 … 3.53 kvar" in text
    assert re.search(r"line N1-N2 8 of 8 \S+ … \S+ A 0\.0 … 5\.0 A", text)
