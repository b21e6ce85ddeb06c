"""Commands for authors of configurations: examples to begin with, and the JSON schema for editors."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.arguments import ConfigArgument, QuietOption

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


def derive_tree(
    config: ConfigArgument,
    out: Annotated[Path, typer.Option(help="Tree to write.", metavar="TREE", show_default=False)],
    head: Annotated[
        list[str] | None,
        typer.Option(help="Node where a feeder begins; repeatable.", show_default="the first fork, and all ways there"),
    ] = None,
    around: Annotated[
        Path | None,
        typer.Option(help="Run of `plan` or `solve` to linearise around.", show_default="the day without coordination"),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Write the grid of CONFIG as a tree of aggregators for `solve`: a branch per feeder, rows from sensitivities."""
    import numpy as np

    from controller.cli.screens.terminal import console, print_path
    from controller.grids.deriving import derive_tree as write_tree

    derived = write_tree(config, out, head or (), around)
    if quiet:
        return
    v_pu = np.abs(derived.flow.v)
    what = "the day without coordination" if around is None else f"the plan of {around}"
    console.print(f"linearised around {what}; its AC power flow:", soft_wrap=True)
    console.print(
        f"voltages {v_pu.min():.4f} … {v_pu.max():.4f} p.u., off limits by {derived.violation.v_pu:.1e} p.u.; "
        f"supply off limits by {derived.violation.slack_p_kw:.3f} kW and {derived.violation.slack_q_kvar:.3f} kvar",
        soft_wrap=True,
    )
    if derived.row_error_pu is not None:
        console.print(f"the rows that this plan held were off by at most {derived.row_error_pu:.1e} p.u.")
    for kind, path in zip(("tree", "series"), derived.files, strict=True):
        print_path(kind, path)


def schema() -> None:
    """Print the JSON schema of a configuration, for editors that complete and check YAML."""
    import json

    from core.config import Config

    print(json.dumps({"$schema": DIALECT, **Config.model_json_schema()}, indent=2, ensure_ascii=False))  # noqa: T201
