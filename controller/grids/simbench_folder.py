"""Networks of SimBench, folders of CSV files separated by semicolons (SimBench documentation, version 1).

Impedances are per km, powers in MW and Mvar, energies in MWh, voltages in kV. A load is its rated power times the
columns ``<profile>_pload`` and ``<profile>_qload`` of LoadProfile.csv; plants are alike with RESProfile.csv.
"""

import csv
from collections.abc import Mapping
from datetime import date, datetime
from math import sqrt
from pathlib import Path

import numpy as np

from controller.grids.elements import (
    STEPS,
    GridBus,
    GridCable,
    GridGenerator,
    GridLoad,
    GridSource,
    GridStorage,
    GridTransformer,
    constant,
)
from core.arrays import FloatArray
from core.errors import Fault, InputError

NEEDED = ("Node", "Line", "LineType", "ExternalNet")
READ = (*NEEDED, "Transformer", "TransformerType", "Switch", "Load", "LoadProfile", "RES", "RESProfile", "Storage")
NOT_GRID = (
    "Coordinates",
    "Measurement",
    "StorageProfile",
    "StudyCases",
    "Substation",
    "PowerPlantProfile",
    "DCLineType",
)
"""Files without an influence on the power flow of what is read."""
Row = Mapping[str, str]


def read_simbench(folder: Path, day: date) -> GridSource:
    """The network in a folder, with the series of a day.

    Raises:
        InputError: files, columns, or the series of the day are missing.
    """
    tables = {path.stem: _table(path) for path in sorted(folder.glob("*.csv"))}
    if missing := [f"{name}.csv" for name in NEEDED if name not in tables]:
        got = f"a folder without {', '.join(missing)}"
        raise InputError([Fault(str(folder), "", got, "CSV files of a SimBench network")])
    try:
        return _SimbenchReader(folder, tables, day).source()
    except (KeyError, ValueError) as error:
        got = f"a value that cannot be read: {error}"
        raise InputError([Fault(str(folder), "", got, "CSV files of a SimBench network, version 1")]) from error


def _table(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file, delimiter=";"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Fault(str(path), "", "a file that cannot be read", "CSV in UTF-8")]) from error


def _number(row: Row, key: str) -> float | None:
    text = row.get(key, "NULL")
    return None if text in ("NULL", "", "nan") else float(text)


class _SimbenchReader:
    """Reads the tables in the order of the equipment."""

    def __init__(self, folder: Path, tables: Mapping[str, list[dict[str, str]]], day: date) -> None:
        self._folder, self._tables, self._day = folder, tables, day
        self._bus = {row["id"]: k for k, row in enumerate(tables["Node"])}
        self._found = GridSource(folder.name)

    def source(self) -> GridSource:
        found = self._found
        for row in self._tables["Node"]:
            kv = float(row["vmR"])
            found.buses[self._bus[row["id"]]] = GridBus(row["id"], kv, _number(row, "vmMin"), _number(row, "vmMax"))
        types = {row["id"]: row for row in self._tables["LineType"]}
        found.cables += [self._cable(row, types[row["type"]]) for row in self._tables["Line"]]
        kinds = {row["id"]: row for row in self._rows("TransformerType")}
        found.transformers += [self._transformer(row, kinds[row["type"]]) for row in self._rows("Transformer")]
        self._add_switches()
        self._add_supplies()
        self._add_powers()
        for name in sorted(self._tables.keys() - {*READ, *NOT_GRID}):
            if rows := self._rows(name):
                found.notes.append(f"{len(rows)} of {name}.csv: left out")
        return found

    def _rows(self, name: str) -> list[dict[str, str]]:
        return self._tables.get(name, [])

    def _cable(self, row: Row, kind: Row) -> GridCable:
        km, share = float(row["length"]), (_number(row, "loadingMax") or 100.0) / 100
        return GridCable(
            name=row["id"],
            ends=(self._bus[row["nodeA"]], self._bus[row["nodeB"]]),
            z_ohm=complex(float(kind["r"]), float(kind["x"])) * km,
            y_us=1j * float(kind["b"]) * km,
            i_max_a=float(kind["iMax"]) * share,
        )

    def _transformer(self, row: Row, kind: Row) -> GridTransformer:
        s_kva, rated = 1e3 * float(kind["sR"]), (float(kind["vmHV"]), float(kind["vmLV"]))
        steps = (_number(row, "tappos") or 0.0) - (_number(kind, "tapNeutr") or 0.0)
        factor = 1 + steps * (_number(kind, "dVm") or 0.0) / 100
        tapped = (rated[0] * factor, rated[1]) if kind["tapside"] == "HV" else (rated[0], rated[1] * factor)
        if _number(row, "autoTap"):
            self._found.notes.append(f"transformer {row['id']}: stays at tap {row['tappos']}, its control is left out")
        if _number(kind, "dVa"):
            self._found.notes.append(f"transformer {row['id']}: phase shift of its tap changer is left out")
        return GridTransformer(
            name=row["id"],
            ends=(self._bus[row["nodeHV"]], self._bus[row["nodeLV"]]),
            s_kva=s_kva,
            rated_kv=rated,
            tapped_kv=tapped,
            vk_percent=float(kind["vmImp"]),
            vkr_percent=100 * float(kind["pCu"]) / s_kva,
            no_load_kw=float(kind["pFe"]),
            i0_percent=float(kind["iNoLoad"]),
        )

    def _add_switches(self) -> None:
        for row in self._rows("Switch"):
            if _number(row, "cond"):
                self._found.joints.append((self._bus[row["nodeA"]], self._bus[row["nodeB"]]))

    def _add_supplies(self) -> None:
        setpoints = {row["id"]: _number(row, "vmSetp") for row in self._tables["Node"]}
        for row in self._tables["ExternalNet"]:
            if row["calc_type"] in ("vavm", "vapm"):
                self._found.supplies.append((self._bus[row["node"]], setpoints[row["node"]] or 1.0))
            else:
                p, q = (constant(1e3 * (_number(row, key) or 0.0)) for key in ("pExtNet", "qExtNet"))
                self._found.loads.append(GridLoad(row["id"], self._bus[row["node"]], p, q))

    def _add_powers(self) -> None:
        found = self._found
        for row in self._rows("Load"):
            p = self._power("LoadProfile", row, "pLoad", "_pload")
            q = self._power("LoadProfile", row, "qLoad", "_qload")
            found.loads.append(GridLoad(row["id"], self._bus[row["node"]], p, q))
        for row in self._rows("RES"):
            p, q = (self._power("RESProfile", row, key, "") for key in ("pRES", "qRES"))
            rated_kva = 1e3 * (_number(row, "sR") or 0.0) or None
            found.generators.append(GridGenerator(row["id"], self._bus[row["node"]], p, q, rated_kva))
            if "PV" not in row["type"]:
                found.notes.append(f"{row['id']} of type {row['type']}: carried over as PV")
        for row in self._rows("Storage"):
            energy_kwh, s_kva = (1e3 * (_number(row, key) or 0.0) for key in ("eStore", "sR"))
            soc, efficiency = _number(row, "chargeLevel") or 0.0, sqrt(_number(row, "etaStore") or 1.0)
            found.storages.append(
                GridStorage(row["id"], self._bus[row["node"]], s_kva, energy_kwh, soc, efficiency=efficiency)
            )
        if found.storages:
            found.notes.append(
                "storages: etaStore is taken as that of a round trip, profiles and self-discharge are left out"
            )

    def _power(self, table: str, row: Row, key: str, suffix: str) -> FloatArray:
        """Rated power times its profile, kW or kvar; without a profile it is constant."""
        rated = 1e3 * (_number(row, key) or 0.0)
        if row["profile"] in ("NULL", "") or not rated:
            return constant(rated)
        return rated * self._profile(table, row["profile"] + suffix)

    def _profile(self, table: str, column: str) -> FloatArray:
        """The values of the day, [STEPS]."""
        text = self._day.strftime("%d.%m.%Y")
        rows = [row for row in self._rows(table) if row["time"].startswith(text)]
        if len(rows) != STEPS or column not in rows[0]:
            days = [datetime.strptime(row["time"][:10], "%d.%m.%Y").date() for row in self._rows(table)]
            span = f"a day from {min(days)} to {max(days)}" if days else "a file of profiles"
            got = f"{len(rows)} values of {column} on {self._day}"
            file = str(self._folder / f"{table}.csv")
            raise InputError([Fault(file, "", got, f"{STEPS} quarter hours; {span}, option --date")])
        return np.array([float(row[column]) for row in rows])
