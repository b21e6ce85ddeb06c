"""Units and containers run commands that the program has, with options that these know."""

import pytest
import typer.main
import yaml
from typer.core import TyperGroup

from controller.cli import app
from tests.support.paths import CONFIGS


def of_units() -> list[str]:
    texts = [path.read_text() for path in sorted((CONFIGS / "systemd").glob("*.service"))]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("ExecStart=/opt/gridlab/")]
    return [line.split("/gridlab ", 1)[1] for line in lines]


def of_containers() -> list[str]:
    services = yaml.safe_load((CONFIGS / "compose" / "compose.yaml").read_text())["services"].values()
    own = [service for service in services if service["image"].startswith("gridlab:")]
    return [" ".join(service["command"]) for service in own] + [
        " ".join(words).split("/gridlab ", 1)[1]
        for service in own
        if "/gridlab " in " ".join(words := service.get("healthcheck", {}).get("test", []))
    ]


@pytest.mark.parametrize("command", of_units() + of_containers())
def test_a_command_is_one_of_the_program(command: str) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    name, *words = command.split()
    known = {option for parameter in group.commands[name].params for option in parameter.opts}
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known


def test_there_are_commands_to_look_at() -> None:
    assert {command.split()[0] for command in of_units()} == {"planner", "serve", "guardian"}
    assert {command.split()[0] for command in of_containers()} == {"planner", "serve", "guardian", "mode"}
