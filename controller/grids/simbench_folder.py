"""Networks of SimBench, folders of CSV files separated by semicolons (SimBench documentation, version 1).

Impedances are per km, powers in MW and Mvar, energies in MWh, voltages in kV. A load is its rated power times the
columns ``<profile>_pload`` and ``<profile>_qload`` of LoadProfile.csv; plants are alike with RESProfile.csv.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from math import isfinite, sqrt
from pathlib import Path
from typing import TypeVar

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
from core.errors import Fault, InputError, shown

NEEDED = ("Node", "Line", "LineType", "ExternalNet", "Load")
READ = (*NEEDED, "Transformer", "TransformerType", "Switch", "LoadProfile", "RES", "RESProfile", "Storage")
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

T = TypeVar("T")


@dataclass(frozen=True)
class SimbenchRow:
    """A row of a file."""

    file: str
    cells: Mapping[str, str]

    def text(self, key: str) -> str:
        """The text of a column.

        Raises:
            InputError: there is no such column.
        """
        if self.cells.get(key) is None:
            raise self.fault(key, "no such column", "a file of SimBench, version 1")
        return self.cells[key]

    def number(self, key: str) -> float:
        """The number of a column.

        Raises:
            InputError: there is no such column, or no number.
        """
        try:
            if isfinite(value := float(self.text(key))):
                return value
        except ValueError:
            pass
        raise self.fault(key, shown(self.text(key)), "a number")

    def optional(self, key: str) -> float | None:
        """The number of a column that may be absent, empty, or NULL."""
        return None if self.cells.get(key) in (None, "NULL", "", "nan") else self.number(key)

    def fault(self, key: str, got: str, allowed: str) -> InputError:
        """What is wrong in a column."""
        name = self.cells.get("id") or self.cells.get("time")
        return InputError([Fault(self.file, f"{name}, column {key}", got, allowed)])


def read_simbench(folder: Path, day: date) -> GridSource:
    """The network in a folder, with the series of a day.

    Raises:
        InputError: files, columns, or the series of the day are missing.
    """
    tables = {path.stem: _table(path) for path in sorted(folder.glob("*.csv"))}
    if missing := [f"{name}.csv" for name in NEEDED if name not in tables]:
        got = f"a folder without {', '.join(missing)}"
        raise InputError([Fault(str(folder), "", got, "CSV files of a SimBench network")])
    return _SimbenchReader(folder, tables, day).source()


def _table(path: Path) -> list[SimbenchRow]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [SimbenchRow(str(path), cells) for cells in csv.DictReader(file, delimiter=";")]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Fault(str(path), "", "a file that cannot be read", "CSV in UTF-8")]) from error


class _SimbenchReader:
    """Reads the tables in the order of the equipment."""

    def __init__(self, folder: Path, tables: Mapping[str, list[SimbenchRow]], day: date) -> None:
        self._folder, self._tables, self._day = folder, tables, day
        self._bus = {row.text("id"): k for k, row in enumerate(tables["Node"])}
        self._found = GridSource(folder.name)

    def source(self) -> GridSource:
        found = self._found
        for row in self._tables["Node"]:
            kv = row.number("vmR")
            bus = GridBus(row.text("id"), kv, row.optional("vmMin"), row.optional("vmMax"))
            found.buses[self._bus[bus.name]] = bus
        types = {row.text("id"): row for row in self._tables["LineType"]}
        found.cables += [self._cable(row, _referred(types, row, "type")) for row in self._tables["Line"]]
        kinds = {row.text("id"): row for row in self._rows("TransformerType")}
        found.transformers += [
            self._transformer(row, _referred(kinds, row, "type")) for row in self._rows("Transformer")
        ]
        self._add_switches()
        self._add_supplies()
        self._add_powers()
        for name in sorted(self._tables.keys() - {*READ, *NOT_GRID}):
            if rows := self._rows(name):
                found.notes.append(f"{len(rows)} of {name}.csv: left out")
        return found

    def _rows(self, name: str) -> list[SimbenchRow]:
        return self._tables.get(name, [])

    def _cable(self, row: SimbenchRow, kind: SimbenchRow) -> GridCable:
        km, share = row.number("length"), (row.optional("loadingMax") or 100.0) / 100
        return GridCable(
            name=row.text("id"),
            ends=(_referred(self._bus, row, "nodeA"), _referred(self._bus, row, "nodeB")),
            z_ohm=complex(kind.number("r"), kind.number("x")) * km,
            y_us=1j * kind.number("b") * km,
            i_max_a=kind.number("iMax") * share,
        )

    def _transformer(self, row: SimbenchRow, kind: SimbenchRow) -> GridTransformer:
        s_kva, rated = 1e3 * kind.number("sR"), (kind.number("vmHV"), kind.number("vmLV"))
        steps = (row.optional("tappos") or 0.0) - (kind.optional("tapNeutr") or 0.0)
        factor = 1 + steps * (kind.optional("dVm") or 0.0) / 100
        tapped = (rated[0] * factor, rated[1]) if kind.text("tapside") == "HV" else (rated[0], rated[1] * factor)
        if row.optional("autoTap"):
            tap = f"transformer {row.text('id')}: stays at tap {row.text('tappos')}"
            self._found.notes.append(f"{tap}, its control is left out")
        if kind.optional("dVa"):
            self._found.notes.append(f"transformer {row.text('id')}: phase shift of its tap changer is left out")
        return GridTransformer(
            name=row.text("id"),
            ends=(_referred(self._bus, row, "nodeHV"), _referred(self._bus, row, "nodeLV")),
            s_kva=s_kva,
            rated_kv=rated,
            tapped_kv=tapped,
            vk_percent=kind.number("vmImp"),
            vkr_percent=100 * kind.number("pCu") / s_kva,
            no_load_kw=kind.number("pFe"),
            i0_percent=kind.number("iNoLoad"),
        )

    def _add_switches(self) -> None:
        for row in self._rows("Switch"):
            if row.optional("cond"):
                self._found.joints.append((_referred(self._bus, row, "nodeA"), _referred(self._bus, row, "nodeB")))

    def _add_supplies(self) -> None:
        setpoints = {row.text("id"): row.optional("vmSetp") for row in self._tables["Node"]}
        for row in self._tables["ExternalNet"]:
            if row.text("calc_type") in ("vavm", "vapm"):
                self._found.supplies.append(
                    (_referred(self._bus, row, "node"), _referred(setpoints, row, "node") or 1.0)
                )
            else:
                p, q = (constant(1e3 * (row.optional(key) or 0.0)) for key in ("pExtNet", "qExtNet"))
                self._found.loads.append(GridLoad(row.text("id"), _referred(self._bus, row, "node"), p, q))

    def _add_powers(self) -> None:
        found = self._found
        for row in self._rows("Load"):
            p = self._power("LoadProfile", row, "pLoad", "_pload")
            q = self._power("LoadProfile", row, "qLoad", "_qload")
            found.loads.append(GridLoad(row.text("id"), _referred(self._bus, row, "node"), p, q))
        for row in self._rows("RES"):
            p, q = (self._power("RESProfile", row, key, "") for key in ("pRES", "qRES"))
            rated_kva = 1e3 * (row.optional("sR") or 0.0) or None
            found.generators.append(GridGenerator(row.text("id"), _referred(self._bus, row, "node"), p, q, rated_kva))
            if "PV" not in row.text("type"):
                found.notes.append(f"{row.text('id')} of type {row.text('type')}: carried over as PV")
        for row in self._rows("Storage"):
            self._add_storage(row)
        if found.storages:
            found.notes.append(
                "storages: etaStore is taken as that of a round trip, profiles and self-discharge are left out"
            )

    def _add_storage(self, row: SimbenchRow) -> None:
        name, energy_kwh, s_kva = row.text("id"), *(1e3 * (row.optional(key) or 0.0) for key in ("eStore", "sR"))
        if not energy_kwh or not s_kva:
            self._found.notes.append(f"storage {name}: without energy or power; left out")
            return
        soc, efficiency = (row.optional("chargeLevel") or 0.0) / 100, sqrt(row.optional("etaStore") or 1.0)
        bus = _referred(self._bus, row, "node")
        self._found.storages.append(GridStorage(name, bus, s_kva, energy_kwh, soc, efficiency=efficiency))

    def _power(self, table: str, row: SimbenchRow, key: str, suffix: str) -> FloatArray:
        """Rated power times its profile, kW or kvar; without a profile it is constant."""
        rated = 1e3 * (row.number(key) if key != "qRES" else row.optional(key) or 0.0)
        if row.text("profile") in ("NULL", "") or not rated:
            return constant(rated)
        return rated * self._profile(table, row.text("profile") + suffix)

    def _profile(self, table: str, column: str) -> FloatArray:
        """The values of the day, [STEPS]."""
        text = self._day.strftime("%d.%m.%Y")
        rows = [row for row in self._rows(table) if row.text("time").startswith(text)]
        if len(rows) != STEPS or column not in rows[0].cells:
            days = [_date(row) for row in self._rows(table)]
            span = f"a day from {min(days)} to {max(days)}" if days else "a file of profiles"
            got = f"{len(rows) if not rows or column in rows[0].cells else 0} values of {column} on {self._day}"
            file = str(self._folder / f"{table}.csv")
            raise InputError([Fault(file, "", got, f"{STEPS} quarter hours; {span}, option --date")])
        return np.array([row.number(column) for row in rows])


def _referred(known: Mapping[str, T], row: SimbenchRow, key: str) -> T:
    """What a column refers to.

    Raises:
        InputError: there is nothing of that name.
    """
    if row.text(key) not in known:
        raise row.fault(key, shown(row.text(key)), f"a name of another file, such as {next(iter(known), 'none')}")
    return known[row.text(key)]


def _date(row: SimbenchRow) -> date:
    text = row.text("time")
    try:
        return datetime.strptime(text[:10], "%d.%m.%Y").date()
    except ValueError as error:
        raise row.fault("time", shown(text), "a time such as 21.06.2016 00:15") from error
