"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

ConfigArgument = Annotated[Path, typer.Argument(help="Scenario, a YAML file.", metavar="CONFIG", show_default=False)]
RunArgument = Annotated[Path, typer.Argument(help="A run directory.", metavar="RUN_DIR", show_default=False)]
OutOption = Annotated[
    Path | None, typer.Option(help="Folder of the run; new, or empty.", show_default="runs/<UTC time>-<name>")
]
StateOption = Annotated[Path, typer.Option(help="Folder of what is kept between runs: journal, lock, tokens.")]
ServerKeyOption = Annotated[
    Path | None, typer.Option(help="Private key of the plant's servers, where CONFIG secures them.")
]
LivePortOption = Annotated[
    int, typer.Option("--live-port", min=0, max=65535, help="Port of the live page, on 127.0.0.1; 0: any free one.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
PlannerOption = Annotated[
    Path | None, typer.Option("--planner", help="Socket of a `gridlab planner`.", show_default="a child process")
]
