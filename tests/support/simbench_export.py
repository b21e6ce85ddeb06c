"""Writes tests/cases/grids/simbench: a small network of SimBench as CSV, and the same as pandapower reads it.

Needs the package simbench (400 MB), which is no dependency of this project: install it in an environment of its own,
and run ``python -m tests.support.simbench_export`` there. The network is 1-LV-rural1--2-sw, its profiles are cut to two
days and to the columns in use, its types to those in use; StorageProfile.csv is left out.
"""

import csv
import warnings
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "cases/grids/simbench"
CODE = "1-LV-rural1--2-sw"
DAYS = ("20.06.2016", "21.06.2016")


def main() -> None:
    """Export, cut, and convert what was cut."""
    import pandapower
    import simbench

    warnings.simplefilter("ignore")
    FOLDER.mkdir(parents=True, exist_ok=True)
    simbench.pp2csv(simbench.get_simbench_net(CODE), str(FOLDER))
    (FOLDER / "StorageProfile.csv").unlink()
    _keep_types("LineType", "Line")
    _keep_types("TransformerType", "Transformer")
    _cut("LoadProfile", {f"{row['profile']}_{kind}" for row in _read("Load") for kind in ("pload", "qload")})
    _cut("RESProfile", {row["profile"] for row in _read("RES")})
    net = simbench.csv2pp(str(FOLDER))
    net.trafo["tap_changer_type"] = "Ratio"  # the converter leaves it out, and pandapower then ignores tap_pos
    net.pop("profiles", None)
    pandapower.to_json(net, str(FOLDER.with_suffix(".json")))


def _read(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def _write(name: str, rows: list[dict[str, str]]) -> None:
    with (FOLDER / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _keep_types(name: str, users: str) -> None:
    used = {row["type"] for row in _read(users)}
    _write(name, [row for row in _read(name) if row["id"] in used])


def _cut(name: str, columns: set[str]) -> None:
    """Two days, with the columns in use."""
    rows = [row for row in _read(name) if row["time"].startswith(DAYS)]
    _write(name, [{key: row[key] for key in row if key == "time" or key in columns} for row in rows])


if __name__ == "__main__":
    main()
