"""docs/interfaces.md lists every command with every option, and no other."""

import re
from collections.abc import Iterator, Mapping

import typer

from controller.cli import app
from tests.support.paths import ROOT

ON_EVERY_COMMAND = {"--help", "--quiet"}


def commands(command: object, name: str) -> Iterator[tuple[str, set[str]]]:
    """(name, options) of a command, or of those of a group."""
    children: Mapping[str, object] = getattr(command, "commands", {})
    for word, child in children.items():
        yield from commands(child, f"{name} {word}")
    if not children:
        found = {p.opts[-1] for p in command.params if p.param_type_name == "option"}  # type: ignore[attr-defined]
        yield name, found - ON_EVERY_COMMAND


def documented() -> dict[str, set[str]]:
    """Options by command, from the blocks of the page; several lines of one command add up."""
    page = (ROOT / "docs" / "interfaces.md").read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for block in re.findall(r"^```\n(gridlab .*?)^```", page, re.MULTILINE | re.DOTALL):
        for synopsis in re.split(r"^(?=gridlab )", block, flags=re.MULTILINE)[1:]:
            words = re.match(r"gridlab(?: [a-z][a-z-]*)+", synopsis)
            assert words, synopsis
            found.setdefault(words[0], set()).update(re.findall(r"--[a-z-]+", synopsis))
    return found


def test_commands_and_options_are_those_of_the_program() -> None:
    actual = dict(commands(typer.main.get_command(app), "gridlab"))
    assert len(actual) > 15
    assert documented() == actual


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = [name for name, _ in commands(typer.main.get_command(app), "gridlab")]
    assert [name for name in names if name.split()[1] not in re.findall(r"gridlab ([a-z-]+)", readme)] == []
