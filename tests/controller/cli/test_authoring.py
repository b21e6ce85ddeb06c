"""``gridlab init`` writes valid examples, and nothing over anything; ``gridlab schema`` knows what they may say."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from core.load import load_yaml
from tests.support.commands import CONFIGS, gridlab

Capsys = pytest.CaptureFixture[str]
DAYS = ("gridlab9.yaml", "gridlab9-household.yaml", "gridlab9-feeders.yaml", "village12.yaml")
EXAMPLES = (*DAYS, "four_levels.yaml", "dispatch.yaml")


@pytest.fixture
def schema(capsys: Capsys) -> Draft202012Validator:
    text = gridlab(capsys, "schema").out
    Draft202012Validator.check_schema(json.loads(text))
    return Draft202012Validator(json.loads(text), format_checker=Draft202012Validator.FORMAT_CHECKER)


def example(name: str) -> Any:
    """As an editor sees it: dates and times are text."""
    return json.loads(json.dumps(load_yaml(CONFIGS / name), default=str))


def test_the_examples_are_copied_with_the_licences_of_their_data(capsys: Capsys, tmp_path: Path) -> None:
    ended = gridlab(capsys, "init", tmp_path / "new" / "demo")
    assert ended.out.splitlines() == [f"configuration: {tmp_path / 'new' / 'demo' / name}" for name in EXAMPLES]
    copied = {path.relative_to(tmp_path / "new" / "demo") for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert {str(path) for path in copied if path.suffix == ".yaml"} >= {*EXAMPLES, "registers/sicam_meter.yaml"}
    for path in copied:
        assert (tmp_path / "new" / "demo" / path).read_bytes() == (CONFIGS / path).read_bytes()
    notices = (tmp_path / "new" / "demo" / "profiles" / "README.md").read_text(encoding="utf-8")
    assert "not under the Apache-2.0 licence" in notices
    assert {path.name for path in copied if path.suffix == ".csv"} <= set(notices.replace("|", " ").split())


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_copy_is_valid(capsys: Capsys, tmp_path: Path, name: str) -> None:
    gridlab(capsys, "init", tmp_path)
    assert gridlab(capsys, "check", tmp_path / name).code == 0


@pytest.mark.parametrize("there", ["gridlab9.yaml", "profiles/README.md"])
def test_nothing_is_overwritten(capsys: Capsys, tmp_path: Path, there: str) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("mine")
    ended = gridlab(capsys, "init", tmp_path)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert f"got {tmp_path / there}, which exists" in ended.err
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["mine"]


def test_a_folder_that_cannot_be_made_is_one_line(capsys: Capsys, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = gridlab(capsys, "init", tmp_path / "file")
    assert (ended.code, ended.err.count("\n")) == (2, 1)


@pytest.mark.parametrize("name", DAYS)
def test_the_schema_accepts_an_example(schema: Draft202012Validator, name: str) -> None:
    schema.validate(example(name))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("limits", "v_mx_pu", 1.05),
        ("limits", "v_max_pu", "high"),
        ("horizon", "date", "June"),
        ("schedule", "day_ahead_at", "25:00"),
        ("coordination", "splitting", "other"),
    ],
)
def test_the_schema_refuses_what_the_program_refuses(
    schema: Draft202012Validator, section: str, key: str, value: object
) -> None:
    data = example("gridlab9.yaml")
    data.setdefault(section, {})[key] = value
    assert [list(error.path)[:1] for error in schema.iter_errors(data)] == [[section]]
