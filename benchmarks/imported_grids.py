"""Networks of pandapower and SimBench, imported: the passive state against pandapower, and the plan of a whole day."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks.tables import ResultTable, milliseconds
from controller.grids.importing import ImportedGrid
from controller.process.clocks import WallClock
from controller.studies.day_ahead import planned_day
from tests.support.imported_grids import (
    NETWORKS,
    Difference,
    imported,
    imported_simbench,
    known_network,
    passive_difference,
    set_powers,
)

NOON = 48


def grids(console: Console) -> Iterator[ResultTable]:
    """Import each network, compare its passive state, and plan its day."""
    table = ResultTable(
        "Imported networks: passive state against pandapower, and the plan of a day in 96 steps",
        ("", "nodes", "prosumers", "|ΔV|, p.u.", "|ΔS| / S", "status", "rounds", "voltages, p.u.", "plan, ms"),
    )
    for name in (*NETWORKS, "simbench"):
        console.print(f"{name} …")
        with TemporaryDirectory() as scratch:
            done, difference = _compared(name, Path(scratch))
            began_s = time.monotonic()
            summary = planned_day(done.config, done.files[0], WallClock()).summary
            took_s = time.monotonic() - began_s
        ac, nodes = summary["ac"], len(done.config.grid.network().nodes)
        table.add(
            name, str(nodes), str(len(done.config.prosumers)), f"{difference.v_pu:.1e}",
            f"{difference.supply_kva / difference.size_kva:.1e}", summary["status"], str(summary["iterations"]),
            f"{ac['v_min_pu']:.4f} … {ac['v_max_pu']:.4f}", milliseconds(took_s),
        )  # fmt: skip
    yield table


def _compared(name: str, folder: Path) -> tuple[ImportedGrid, Difference]:
    if name != "simbench":
        net = known_network(name)
        done, node_of = imported(net, folder)
        return done, passive_difference(done, node_of, net)
    done, node_of, net = imported_simbench(folder)
    set_powers(net, NOON)
    return done, passive_difference(done, node_of, net, NOON)
