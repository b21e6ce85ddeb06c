"""The program loads what a command needs, and no more: an operator does not wait for solvers and drivers."""

import subprocess
import sys
from pathlib import Path

import pytest

from controller.process.modes import Mode
from tests.support.api import ServiceUnderTest
from tests.support.footprint import footprint
from tests.support.paths import ROOT

TERMINAL = {
    "typer", "rich", "markdown_it", "mdurl", "pygments", "shellingham", "annotated_doc", "typing_extensions", "attr",
    "pydantic", "pydantic_core", "annotated_types", "typing_inspection",
}  # fmt: skip
"""Typer and Rich with what they use, pydantic for the types of options."""
OPTIONS = {
    "controller.cli", "controller.cli.arguments", "controller.cli.authoring", "controller.cli.keeping",
    "controller.cli.laboratory", "controller.cli.operation", "controller.cli.operator", "controller.cli.planning",
    "controller.cli.runs", "controller.cli.solving", "controller.process", "controller.process.modes",
    "controller.process.private_files",
    "core", "core.algorithms", "core.errors",
}  # fmt: skip
CLIENT = {
    "controller.accounts", "controller.accounts.model_check", "controller.api", "controller.api.address",
    "controller.api.client", "controller.api.endpoints", "controller.api.messages", "controller.api.tokens",
    "controller.cli.requests", "controller.cli.screens", "controller.cli.screens.status",
    "controller.cli.screens.terminal", "controller.process.failures", "controller.process.lock",
    "controller.process.loopback", "controller.record", "controller.record.records", "core.devices",
}  # fmt: skip
STOP = {
    "controller.api", "controller.api.address", "controller.api.stopping", "controller.cli.screens",
    "controller.cli.screens.terminal", "controller.cli.stopping", "controller.process.failures",
    "controller.process.lock", "controller.stop", "controller.stop.asking", "controller.stop.order",
    "controller.stop.wire", "core.devices",
}  # fmt: skip
SERVE = {
    "controller.api", "controller.api.address", "controller.guardian", "controller.guardian.answering",
    "controller.guardian.requested", "controller.process.commanded", "controller.process.failures",
    "controller.process.files", "controller.process.lock", "controller.process.stop_signals", "controller.stop",
    "controller.stop.channel", "controller.stop.order", "controller.stop.wire", "core.devices", "core.time",
    "realtime", "realtime.timing",
}  # fmt: skip
"""Before the stop socket of a service listens."""
LARGEST_MIB = 64.0


def own(modules: frozenset[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] in ("core", "mpc", "realtime", "drivers", "controller")}


@pytest.mark.parametrize("words", [("--help",), ("plan", "--help"), ("simulate", "--help"), ("--version",)])
def test_help_loads_options_alone(tmp_path: Path, words: tuple[str, ...]) -> None:
    used = footprint(tmp_path, *words)
    assert used.code == 0
    assert used.foreign <= TERMINAL
    assert own(used.modules) == {"controller", *OPTIONS}


def test_completion_loads_options_alone(tmp_path: Path) -> None:
    used = footprint(tmp_path, _GRIDLAB_COMPLETE="complete_bash", COMP_WORDS="gridlab st", COMP_CWORD="1")
    assert {"status", "stop", "study"} <= set(used.out.split())
    assert used.foreign <= TERMINAL
    assert own(used.modules) == {"controller", *OPTIONS}


@pytest.mark.parametrize("words", [("status",), ("mode",), ("mode", "active", "--yes")])
def test_an_operator_loads_a_client_alone(api: ServiceUnderTest, tmp_path: Path, words: tuple[str, ...]) -> None:
    api.set_mode(Mode.MONITOR)
    used = footprint(tmp_path, *words, "--state", api.folder)
    assert used.code == 0, used.out
    assert used.out
    assert used.foreign <= TERMINAL
    assert own(used.modules) <= {"controller", *OPTIONS, *CLIENT}
    assert 0 < used.memory_mib <= LARGEST_MIB


def test_a_stop_loads_less_than_any_other_client(api: ServiceUnderTest, tmp_path: Path) -> None:
    api.set_mode(Mode.ACTIVE)
    used = footprint(tmp_path, "stop", "--state", api.folder)
    assert (used.code, used.out.count("safe, read back")) == (0, 5)
    assert used.foreign <= TERMINAL
    assert own(used.modules) <= {"controller", *OPTIONS, *STOP}


def test_a_service_listens_for_stops_before_it_loads_anything(tmp_path: Path) -> None:
    program = (
        "import sys, runpy, controller.stop.channel as channel\n"
        "listening = channel._listening\n"
        "def listed(*place):\n"
        "    print(*sorted(sys.modules))\n"
        "    return listening(*place)\n"
        "channel._listening = listed\n"
        "sys.argv = ['gridlab', 'serve', 'none.yaml', '--state', sys.argv[1]]\n"
        "import controller.cli\n"
        "controller.cli.main()\n"
    )
    words = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, "none.yaml" in done.stderr) == (2, True)
    modules = frozenset(done.stdout.split())
    assert own(modules) <= {"controller", *OPTIONS, *SERVE}
    assert not {"numpy", "cvxpy", "pandas", "asyncua", "pymodbus", "yaml"} & modules
