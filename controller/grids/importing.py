"""``gridlab import-grid``: a network of pandapower or SimBench as a configuration, its series, and a list of notes."""

import re
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from controller.grids.document import grid_document, powers_at_nodes, series_lines
from controller.grids.faults import one_per_kind
from controller.grids.pandapower_file import read_pandapower
from controller.grids.radial import radial_grid
from controller.grids.simbench_folder import read_simbench
from core.config import Config
from core.errors import Fault, InputError
from core.load import config_of
from core.yaml_text import yaml_text

INDEX = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class ImportedGrid:
    """The configuration that was written, its files, and what was left out or assumed."""

    config: Config
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def import_grid(source_path: Path, out: Path, day: date) -> ImportedGrid:
    """Write ``out`` and, beside it, its series and notes.

    Args:
        source_path: a JSON file of pandapower, or a folder of SimBench.
        day: date of the configuration, and of the profiles of SimBench.

    Raises:
        InputError: the network cannot be read or is not radial, or a file would be overwritten; nothing is written.
    """
    paths = out, out.with_name(f"{out.stem}_series.csv"), out.with_name(f"{out.stem}_import.txt")
    if existing := [path for path in paths if path.exists()]:
        raise InputError([Fault(str(path), "", "a file that exists", "a new file") for path in existing])
    if not source_path.exists():
        raise InputError([Fault(str(source_path), "", "no such file or folder", "a network of pandapower or SimBench")])
    folder = source_path.is_dir()
    source = read_simbench(source_path, day) if folder else read_pandapower(source_path)
    if not folder:
        source.notes.append("no time series: loads and plants keep their power all day")
    grid = radial_grid(source, str(source_path))
    powers = powers_at_nodes(source, grid)
    if not powers:
        got = f"no load, generator or storage at a node; {'; '.join(source.notes)}"
        raise InputError([Fault(str(source_path), "", got, "a network with prosumers")])
    document = grid_document(source, grid, powers, day, paths[1].name)
    config = _checked(document.config, source_path, out)
    contents = yaml_text(document.config), "\n".join(series_lines(document.series)), "\n".join(source.notes)
    out.parent.mkdir(parents=True, exist_ok=True)
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content.rstrip("\n") + "\n", encoding="utf-8")
    return ImportedGrid(config, paths, tuple(source.notes))


def _checked(document: dict[str, Any], source: Path, out: Path) -> Config:
    """The configuration; what it does not allow is told by the names of the source, since nothing is written."""
    try:
        return config_of(document, out)
    except InputError as error:
        named = (
            replace(fault, file=str(source), key=INDEX.sub(lambda match: _name(match, document), fault.key, count=1))
            for fault in error.faults
        )
        raise InputError(one_per_kind(named)) from error


def _name(match: re.Match[str], document: dict[str, Any]) -> str:
    """`[k]` of a key as the name of that line, shunt or prosumer."""
    section: Any = document
    for key in match.string[: match.start()].split("."):
        section = section[key]
    item = section[int(match[1])]
    return f"[{item.get('name', item.get('node'))}]"
