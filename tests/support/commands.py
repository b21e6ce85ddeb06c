"""Running the console program inside the test, as a user would call it."""

import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller import cli

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = (("file", "profiles"), ("registers", "registers"))


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
    here = [(f"{key}: {folder}/", f"{key}: {CONFIGS}/{folder}/") for key, folder in FILES]
    for old, new in (*here, *replacements):
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]
