"""The Python code of README, API page and a tutorial runs as pasted, in a folder with the example configurations."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.cli.examples import write_examples
from tests.support.paths import ROOT
from tests.support.snippets import python_blocks

PAGES = ("README.md", "docs/reference/python_api.md", "docs/tutorials/dispatch.md")


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page: str, tmp_path: Path) -> None:
    write_examples(tmp_path / "demo")
    code = "\n".join(python_blocks(ROOT / page))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_readme_needs_fifteen_lines() -> None:
    (code,) = python_blocks(ROOT / "README.md")
    assert len(code.splitlines()) <= 15
