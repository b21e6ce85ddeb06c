"""The example configurations that come with the program, and their copying.

An installed wheel has them beside this module; in a checkout they are in ``configs``.
"""

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from core.errors import Fault, InputError

SHIPPED = (
    "gridlab9.yaml", "gridlab9-household.yaml", "gridlab9-feeders.yaml", "village12.yaml", "four_levels.yaml",
    "dispatch.yaml", "profiles", "registers",
)  # fmt: skip
"""Configurations, and the folders of the files that they name."""


def write_examples(folder: Path) -> tuple[Path, ...]:
    """Copy the examples into ``folder``, which is created if necessary; return the paths of the configurations.

    Raises:
        InputError: a file exists, or the folder cannot be written; nothing was overwritten.
    """
    copies = {folder / place: source for place, source in _examples()}
    if existing := [path for path in copies if path.exists() or path.is_symlink()]:
        raise InputError(
            [Fault("init", "", f"{existing[0]}, which exists", "a folder without the files to be written")]
        )
    try:
        for path, source in copies.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(source.read_bytes())
    except OSError as error:
        allowed = f"a folder that can be written ({error.strerror})"
        raise InputError([Fault("init", "", str(folder), allowed)]) from error
    return tuple(path for path in copies if path.parent == folder)


def _examples() -> Iterator[tuple[PurePosixPath, Traversable]]:
    """Each file with its place below the folder."""
    installed = files("controller.cli") / "examples"
    source = installed if installed.is_dir() else Path(__file__).parents[2] / "configs"
    for name in SHIPPED:
        yield from _files(PurePosixPath(name), source / name)


def _files(place: PurePosixPath, source: Traversable) -> Iterator[tuple[PurePosixPath, Traversable]]:
    if source.is_file():
        yield place, source
        return
    for child in sorted(source.iterdir(), key=lambda each: each.name):
        yield from _files(place / child.name, child)
