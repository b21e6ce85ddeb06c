"""Configurations of the public interface: read, changed, written."""

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gridlab
from core.load import load_config
from tests.support.commands import scenario_file
from tests.support.paths import CONFIG, CONFIGS


@pytest.fixture(scope="module")
def config() -> gridlab.Configuration:
    return gridlab.load(str(CONFIG))


def test_a_configuration_is_that_of_the_file(config: gridlab.Configuration) -> None:
    assert config.values == load_config(CONFIG)
    assert (config.path, config.changed) == (CONFIG, False)
    assert repr(config) == f"<Configuration gridlab9 of {CONFIG}>"


def test_a_change_leaves_the_rest_and_the_first_one(config: gridlab.Configuration) -> None:
    changed = config.with_(limits={"v_max_pu": 1.04}, coordination={"max_iterations": 7}).with_(name="sweep-1")
    assert changed.values.limits == config.values.limits.model_copy(update={"v_max_pu": 1.04})
    assert (changed.values.coordination.max_iterations, changed.values.name) == (7, "sweep-1")
    assert changed.values.prosumers == config.values.prosumers
    assert config.values == load_config(CONFIG)
    with pytest.raises(FrozenInstanceError):
        config.path = Path()  # type: ignore[misc]


def test_named_sections_of_a_list(config: gridlab.Configuration) -> None:
    changes = {"N3": {"battery": {"energy_kwh": 10.0}}, "N4": {"pv": None}, "N9": None}
    first, second, *_, last = config.with_(prosumers=changes).values.prosumers
    assert (first.battery, config.values.prosumers[0].battery) != (None, None)
    assert first.battery == config.values.prosumers[0].battery.model_copy(update={"energy_kwh": 10.0})  # type: ignore[union-attr]
    assert (second.name, second.pv, second.load) == ("N4", None, config.values.prosumers[1].load)
    assert last.name == "N7"


def test_other_values_replace_what_was_there(config: gridlab.Configuration) -> None:
    constant = config.with_(tariff={"constant": 0.2, **dict.fromkeys(("file", "column", "scale", "offset"))})
    assert constant.values.tariff.model_dump(exclude_unset=True) == {"constant": 0.2}
    lines = config.values.document()["grid"]["lines"]
    assert config.with_(grid={"lines": tuple(lines)}).values.grid == config.values.grid


def test_numbers_of_numpy_are_numbers(config: gridlab.Configuration) -> None:
    changed = config.with_(limits={"v_max_pu": np.float64(1.04)}, coordination={"max_iterations": np.int64(7)})
    assert (changed.values.limits.v_max_pu, changed.values.coordination.max_iterations) == (1.04, 7)


@pytest.mark.parametrize(
    ("changes", "replaced"),
    [
        ({"limits": {"v_max_pu": 3.0}}, ("v_max_pu: 1.05", "v_max_pu: 3.0")),
        ({"grid": {"voltage_v": None, "voltge_v": 400}}, ("voltage_v: 400", "voltge_v: 400")),
        (
            {"prosumers": {name: {"battery": {"soc_initial": 1.05}} for name in ("N3", "N4", "N5", "N7", "N9")}},
            ("soc_initial: 0.5", "soc_initial: 1.05"),
        ),
    ],
)
def test_a_fault_is_said_like_that_of_a_file(tmp_path: Path, changes: Any, replaced: tuple[str, str]) -> None:
    with pytest.raises(gridlab.InputError) as of_file:
        gridlab.load(scenario_file(tmp_path, replaced))
    good = gridlab.load(scenario_file(tmp_path))
    with pytest.raises(gridlab.InputError) as of_change:
        good.with_(**changes)
    assert str(of_change.value) == str(of_file.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"prosumers": {"N33": {"pv": None}}},
            'prosumers.N33: got "N33"; allowed: names of the list: N3, N4, N5, N7, N9',
        ),
        (
            {"grid": {"lines": {"N1-N2": None}}},
            'grid.lines.N1-N2: got "N1-N2"; allowed: a list; its items have no names',
        ),
        ({"limits": 5}, "limits: got 5; allowed: a section with the keys v_min_pu"),
        ({"limit": {}}, "did you mean limits?"),
    ],
)
def test_a_wrong_change_is_named(config: gridlab.Configuration, changes: Any, said: str) -> None:
    with pytest.raises(gridlab.InputError) as error:
        config.with_(**changes)
    assert str(error.value).startswith(f"{CONFIG}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["gridlab9.yaml", "gridlab9-household.yaml"])
def test_a_changed_configuration_is_written_as_a_file_that_stands_alone(tmp_path: Path, name: str) -> None:
    changed = gridlab.load(CONFIGS / name).with_(name="other", schedule={"day_ahead_at": "22:30"})
    with changed.written(tmp_path / "other.yaml") as written:
        assert written.path == tmp_path / "other.yaml"
    again = gridlab.load(tmp_path / "other.yaml")
    assert again.values == written.values
    assert again.values.document() == changed.values.document(CONFIGS)
    with (
        pytest.raises(gridlab.InputError, match=r"out: got .*other\.yaml; allowed: a place"),
        changed.written(again.path),
    ):
        pass


def test_a_file_that_is_not_kept(config: gridlab.Configuration) -> None:
    with config.with_(name="other").written() as written:
        assert load_config(written.path).name == "other"
    assert not written.path.exists()
    with config.written() as written:
        assert written is config
