"""Runs the console program as a user would, inside the test or as a process of its own."""

import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller import cli
from tests.support.paths import CONFIGS

GRIDLAB = (sys.executable, "-m", "controller.cli")
FILES = (("file", "profiles"), ("registers", "registers"))


@dataclass(frozen=True)
class CommandResult:
    """Exit code and output."""

    code: int
    out: str
    err: str


def gridlab(capsys: pytest.CaptureFixture[str], *words: object) -> CommandResult:
    """Run ``gridlab WORDS`` in this process."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["gridlab", *map(str, words)])
        patch.setattr(sys.modules["__main__"], "__package__", None)  # not called by its name as `python -m pytest` is
        with pytest.raises(SystemExit) as exited:
            cli.main()
    printed = capsys.readouterr()
    return CommandResult(int(exited.value.code or 0), printed.out, printed.err)


def gridlab_process(*words: object) -> subprocess.CompletedProcess[str]:
    """Run ``gridlab WORDS`` as a process of its own."""
    command = [*GRIDLAB, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


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
    """Free ports of 127.0.0.1."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]
