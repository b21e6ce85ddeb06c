"""The file of hashes: everything that runs, in the tested versions, and nothing else. CI installs it (.ci/wheel)."""

import re

from tests.support.deployment_file import CONSTRAINTS, FILE, HEADER, constrained_versions, runtime_names, written


def test_it_pins_what_runs_in_the_constrained_versions() -> None:
    versions = constrained_versions()
    assert {name: version for name, (version, _) in written().items()} == {
        name: versions[name] for name in runtime_names()
    }
    assert {"numpy", "cvxpy", "pymodbus", "setuptools"} <= written().keys()
    assert not {"pytest", "ruff", "pandapower", "gurobipy", "pyarrow", "gridlab"} & written().keys()


def test_every_entry_has_hashes_and_those_that_are_compiled_one_per_python_and_machine() -> None:
    for name, (_, hashes) in written().items():
        assert hashes, name
        assert len(set(hashes)) == len(hashes)
        assert all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", one) for one in hashes), name
    assert len(written()["numpy"][1]) == 6


def test_names_versions_and_hashes_are_all_that_the_files_say() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert text.startswith(HEADER)
    for line in text.removeprefix(HEADER).splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
    for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line), line
