"""The tests mirror the tree, and share helpers by tests/support alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

PACKAGES = ("controller", "core", "drivers", "gridlab", "mpc", "realtime", "sim_plant")
ACROSS = {
    *("architecture", "closed_loop", "deployment", "docs", "fuzz", "independent_clients"),
    *("libraries", "state_machine", "support", "wire"),
}
"""Folders of tests that belong to no package; ``cases`` holds data alone."""

UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
OWN_PIPE = {"controller/planner/child.py", "controller/planner/planner.py"}
"""The two ends of the pipe between a planner and its own child process."""
ATTACKER = "controller/chaos/injections/planner_attack.py"


def imported(path: Path) -> Iterator[str]:
    """What a file imports of the tests."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{a.name}" for a in node.names]
        yield from (name for name in names if name.split(".")[0] == "tests")


def files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert found
    return found


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_every_folder_of_tests_is_that_of_a_package() -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in files("tests")} - {Path()}
    mirrored = {folder for folder in folders if folder.parts[0] not in ACROSS}
    assert {str(folder) for folder in mirrored if not (ROOT / folder / "__init__.py").exists()} == set()
    assert {folder.parts[0] for folder in mirrored} == set(PACKAGES)


def test_tests_import_their_neighbours_and_support_alone() -> None:
    for path in files("tests"):
        allowed = ("tests.support.", f"{module(path.parent)}.")
        names = [*imported(path)]
        assert [name for name in names if not name.startswith(allowed)] == [], path
        assert [name for name in names if ".conftest." in name or ".test_" in name] == [], path


def test_benchmarks_import_support_alone_and_nobody_else_imports_tests() -> None:
    names = {name for path in files("benchmarks") for name in imported(path)}
    assert {name for name in names if not name.startswith("tests.support.")} == set()
    assert [path for path in files(*PACKAGES) if any(imported(path))] == []


def test_nothing_unpickles_but_the_pipe_between_the_planner_and_its_child() -> None:
    found = {str(path.relative_to(ROOT)) for path in files(*PACKAGES) if UNPICKLERS & modules(path)}
    assert found == OWN_PIPE | {ATTACKER}
    assert "pickle.load" not in (ROOT / ATTACKER).read_text(encoding="utf-8")


def modules(path: Path) -> set[str]:
    """The top-level modules that a file imports, of whatever kind."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found |= {name.split(".")[0] for name in names}
    return found
