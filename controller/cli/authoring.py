"""Commands for authors of configurations: examples to begin with, and the JSON schema for editors."""

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


def schema() -> None:
    """Print the JSON schema of a configuration, for editors that complete and check YAML."""
    import json

    from core.config import Config

    print(json.dumps({"$schema": DIALECT, **Config.model_json_schema()}, indent=2, ensure_ascii=False))  # noqa: T201
