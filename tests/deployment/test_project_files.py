"""What an open project has beside its code: licence, citation, types, a list of what make does, versions that agree."""

import re
import subprocess
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from controller.cli.examples import SHIPPED

ROOT = Path(__file__).parents[2]
APACHE_2_0 = "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4"
"""SHA-256 of the unmodified text of the licence."""


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    loaded: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return loaded


def test_the_licence_is_whole() -> None:
    assert sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2_0


def test_the_citation_is_of_this_version(project: dict[str, Any]) -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == project["project"]["version"]
    assert citation["license"] == "Apache-2.0"


def test_every_package_is_typed(project: dict[str, Any]) -> None:
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert all((ROOT / package / "py.typed").is_file() for package in wheel["packages"])
    assert set(project["tool"]["mypy"]["files"]) >= set(wheel["packages"])
    assert set(project["tool"]["importlinter"]["root_packages"]) == set(wheel["packages"])


def test_what_init_writes_is_in_the_wheel(project: dict[str, Any]) -> None:
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {f"configs/{name}": f"controller/cli/examples/{name}" for name in SHIPPED}
    assert all((ROOT / source).exists() for source in included)


def test_the_tested_version_is_within_the_range_of_each_dependency(project: dict[str, Any]) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = dict(re.fullmatch(r"([\w.-]+)==(\S+)", line).groups() for line in lines if line[0] != "#")  # type: ignore[union-attr]
    versions = {name.lower().replace("_", "-"): version for name, version in tested.items()}
    extras = project["project"]["optional-dependencies"].values()
    asked = [Requirement(text) for group in (project["project"]["dependencies"], *extras) for text in group]
    for requirement in asked:
        if requirement.name == "gridlab":
            continue
        assert not any(each.operator == "==" for each in requirement.specifier), requirement
        assert versions[requirement.name.lower()] in requirement.specifier, requirement


def test_make_lists_its_targets() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = subprocess.run(["make", "-C", ROOT, "--no-print-directory"], capture_output=True, text=True, check=True)
    targets = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert targets
    assert [line.split()[0] for line in listed.stdout.splitlines()] == targets[1].split()


def test_contributing_names_files_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = [name for name in re.findall(r"`([^`\s]+)`", text) if "/" in name or name.endswith((".md", ".py"))]
    assert len(set(named)) > 25
    assert [name for name in named if not (ROOT / name).exists()] == []
