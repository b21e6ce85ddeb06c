"""What is written as YAML is read as it was, also names that look like something else."""

import pytest

from core.yaml_text import parse_yaml, yaml_text

NAMES = [
    "1", "007", "1e3", "0x10", "0o7", ".5", "-1", "true", "False", "null", "~", "NO", "on", "y", "nan", ".nan", ".inf",
    "2018-06-21", "23:00", "12:30:00", "<<", "=", "-", "- a", "a: b", "a #b", "#x", "'", '"', "Küche", "東京", "",
    " a ", "[a", "{a", "*a", "&a", "!a", "%a", "@a", "`a", "a\nb", "x" * 300,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_text_stays_text(name: str) -> None:
    document = {"grid": {"slack": name, "lines": [{"from": name, "to": [name]}]}, name: 1}
    assert parse_yaml(yaml_text(document), "file") == (document, [])


def test_numbers_stay_numbers() -> None:
    document = {"a": [1, 1.5, 1e-20, 1e20, -0.0, True, None, 123456789.123456789], "b": {}, "c": []}
    read, faults = parse_yaml(yaml_text(document), "file")
    assert (read, faults) == (document, [])
    assert isinstance(read, dict)
    assert [type(value) for value in read["a"]] == [type(value) for value in document["a"]]
