"""Running the console program inside the test, as a user would call it."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller import cli

CONFIGS = Path(__file__).parents[2] / "configs"


@dataclass(frozen=True)
class Ended:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str


def gridlab(capsys: pytest.CaptureFixture[str], *words: object) -> Ended:
    """``gridlab WORDS`` → how it ended."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["gridlab", *map(str, words)])
        with pytest.raises(SystemExit) as exited:
            cli.main()
    printed = capsys.readouterr()
    return Ended(int(exited.value.code or 0), printed.out, printed.err)


def scenario_file(folder: Path, *replacements: tuple[str, str]) -> Path:
    """The default scenario with text replaced, in a folder of its own."""
    text = (CONFIGS / "gridlab9.yaml").read_text(encoding="utf-8")
    for old, new in (("file: profiles/", f"file: {CONFIGS}/profiles/"), *replacements):
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    return path
