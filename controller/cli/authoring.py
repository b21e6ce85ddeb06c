"""Commands for authors of configurations: examples to begin with, and the JSON schema for editors."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.arguments import QuietOption

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to write to.", metavar="DIR", show_default=False)],
    quiet: QuietOption = False,
) -> None:
    """Write the example configurations with their series and register maps; nothing is overwritten."""
    from controller.cli.examples import write_examples
    from controller.cli.screens.terminal import print_path

    for path in write_examples(folder):
        if not quiet:
            print_path("configuration", path)


def import_grid(
    source: Annotated[
        Path,
        typer.Argument(help="JSON file of pandapower, or folder of SimBench.", metavar="FILE", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Configuration to write.", metavar="CONFIG", show_default=False)],
    day: Annotated[
        datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Day of the configuration and of the profiles.")
    ] = datetime(2016, 6, 21),
    quiet: QuietOption = False,
) -> None:
    """Write a network of pandapower or SimBench as a configuration, with its series and a list of what is left out."""
    from controller.cli.screens.terminal import console, print_path
    from controller.grids.importing import import_grid as write_grid

    imported = write_grid(source, out, day.date())
    if not quiet:
        for note in imported.notes:
            console.print(note, markup=False, highlight=False)
        for kind, path in zip(("configuration", "series", "notes"), imported.files, strict=True):
            print_path(kind, path)


def schema() -> None:
    """Print the JSON schema of a configuration, for editors that complete and check YAML."""
    import json

    from core.config import Config

    print(json.dumps({"$schema": DIALECT, **Config.model_json_schema()}, indent=2, ensure_ascii=False))  # noqa: T201
