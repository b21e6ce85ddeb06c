"""Which trials there are, and what becomes of their results; the trials themselves run in tests/closed_loop."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from controller.chaos.campaign import fault_numbers
from controller.chaos.table import COLUMNS, CSV, PAGE, p95, rows, write_tables
from controller.chaos.trial_run import TrialResult
from controller.chaos.trials import TRIALS
from controller.cli import app
from core.errors import InputError

SAFE = TrialResult(7, "down", 0, "down", "n3_converter", None, 2.0, 50.0, 20.0, (), 0, (), True, 8.0)


def test_every_fault_of_the_table_has_a_trial() -> None:
    numbers = [trial.number for trial in TRIALS]
    assert numbers == sorted(set(numbers))
    assert set(range(1, 31)) < set(numbers)
    assert len({trial.name for trial in TRIALS}) == len(TRIALS)


def test_a_fault_is_chosen_by_name_or_number() -> None:
    assert fault_numbers("down") == fault_numbers("7") == (7,)
    assert fault_numbers(None) == tuple(trial.number for trial in TRIALS)
    with pytest.raises(InputError, match=r"--fault: got down_; allowed: a number or a name: 1 kill, 2 hang"):
        fault_numbers("down_")


def test_the_example_of_the_help_names_a_fault() -> None:
    (example,) = [command.epilog for command in app.registered_commands if "gridlab chaos" in (command.epilog or "")]
    (fault,) = re.findall(r"--fault (\S+)", example)
    assert len(fault_numbers(fault)) == 1


def test_a_row_has_all_trials_of_a_fault() -> None:
    failed = replace(
        SAFE, seed=1, detected_s=None, recovered_s=61.4, passed=False, broken=("2: n3 ramp",), points_lost=3
    )
    other = replace(SAFE, number=1, name="bad-configuration", safe_s=None)
    first, second = rows([SAFE, failed, other])
    assert first.cells == ("1", "bad configuration", "1 of 1", "2 / 2", "–", "20 / 20", "none", "none")
    assert second.cells == ("7", "down", "1 of 2", "2 / 2", "50", "61 / 61", "1", "3")


def test_the_quantile_leaves_out_one_in_twenty() -> None:
    values_s = [float(k) for k in range(1, 41)]
    assert (p95(values_s), p95(values_s[:19]), p95([3.0])) == (38.0, 19.0, 3.0)


def test_tables_hold_every_trial_and_every_fault(tmp_path: Path) -> None:
    write_tables([SAFE, replace(SAFE, seed=1, broken=("a", "b"))], tmp_path)
    trials = list(csv.DictReader((tmp_path / CSV).read_text().splitlines()))
    assert [(trial["seed"], trial["broken"], trial["detected_s"]) for trial in trials] == [
        ("0", "", "2.0"),
        ("1", "a; b", "2.0"),
    ]
    heading, _, row = (tmp_path / PAGE).read_text().splitlines()
    assert heading == "| " + " | ".join(COLUMNS) + " |"
    assert row.startswith("| 7 | down | 2 of 2 |")
