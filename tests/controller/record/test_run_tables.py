"""CSV files that grow by whole lines."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.process.failures import DamagedError, RecordError
from controller.record.tables import CYCLE_TABLES, AppendedTable
from controller.runs.directory import write_table
from tests.support.disks import full_disk

COLUMNS = ("time", "node", "v_pu", "on")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nodes.csv"


finite = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x != 0 or str(x) == "0.0")


@given(st.lists(st.tuples(st.text("aé,\"' x", min_size=1), finite | st.none(), st.booleans()), min_size=1))
def test_rows_look_like_those_of_a_plan(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float | None, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    full = [("2018-06-21T12:00:00+02:00", *row) for row in rows]
    write_table(folder / "whole.csv", pd.DataFrame(full, columns=list(COLUMNS)).astype({"v_pu": float}))
    with AppendedTable(folder / "grown.csv", COLUMNS) as table:
        for row in full:
            table.append([row])
    assert (folder / "grown.csv").read_bytes() == (folder / "whole.csv").read_bytes()


def test_unknown_is_empty_and_zero_has_no_sign(path: Path) -> None:
    with AppendedTable(path, ("a", "b", "c", "d", "e", "f")) as table:
        table.append([(float("nan"), None, float("inf"), -0.0, 1 / 3, 31)])
    assert path.read_text() == "a,b,c,d,e,f,schema_version\n,,,0,0.333333333333,31,1\n"


def test_an_empty_run_has_its_header(path: Path) -> None:
    with AppendedTable(path, COLUMNS) as table:
        table.append([])
    assert path.read_text() == "time,node,v_pu,on,schema_version\n"


def test_rows_can_be_read_at_once(path: Path) -> None:
    with AppendedTable(path, COLUMNS) as table:
        table.append([("t", "N1", 1.0, True), ("t", "N2", 1.0, True)])
        assert len(pd.read_csv(path)) == 2


def test_a_table_torn_anywhere_goes_on_with_whole_lines(path: Path) -> None:
    with AppendedTable(path, COLUMNS) as table:
        table.append([("t", "é,x", 1.25, True)] * 3)
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with AppendedTable(path, COLUMNS) as table:
            table.append([("t", "last", None, False)])
        lines = path.read_bytes().splitlines(keepends=True)
        assert lines[0] == whole.splitlines(keepends=True)[0]
        assert lines[1:-1] == whole[:cut].splitlines(keepends=True)[1 : whole[:cut].count(b"\n")]
        assert lines[-1] == b"t,last,,False,1\n"


def test_a_long_table_is_torn_only_at_its_end(path: Path) -> None:
    with AppendedTable(path, COLUMNS) as table:
        table.append([("t", "N1", 1.0, True)] * 10_000)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"t,N1,1.0")
    with AppendedTable(path, COLUMNS):
        assert path.stat().st_size == size


@pytest.mark.parametrize("content", ["time,node\n", "time,node,v_pu,on,schema_version,more\n", "something\nelse\n"])
def test_a_table_with_other_columns_is_left_alone(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(DamagedError, match=r"other columns, allowed time,node,v_pu,on,schema_version$"):
        AppendedTable(path, COLUMNS).__enter__()
    assert path.read_text() == content


def test_a_full_disk_costs_whole_rows_only(path: Path) -> None:
    row = ("t", "N1", 1.0, True)
    with AppendedTable(path, COLUMNS) as table:
        table.append([row])
        before = path.read_bytes()
        with full_disk(len(before) + 5), pytest.raises(RecordError, match=r"nodes\.csv"):
            table.append([row])
        assert path.read_bytes() == before
        table.append([row])
    assert path.read_bytes() == before + b"t,N1,1,True,1\n"


def test_a_table_that_is_not_open_is_an_error(path: Path) -> None:
    with pytest.raises(RecordError, match="not open"):
        AppendedTable(path, COLUMNS).append([("t", "N1", 1.0, True)])


def test_the_columns_of_a_run_are_those_of_the_interface() -> None:
    realtime = (
        "time prosumer p_target_kw q_target_kvar p_setpoint_kw q_setpoint_kvar p_measured_kw q_measured_kvar load_kw "
        "pv_kw battery_kw soc v_measured_pu tariff_chf_per_kwh price_chf_per_kwh rung reasons pv_kvar"
    )
    assert {name: " ".join(table.columns) for name, table in CYCLE_TABLES.items()} == {
        "realtime.csv": realtime,
        "nodes.csv": "time node v_pu",
        "lines.csv": "time line i_a",
        "slack.csv": "time p_kw q_kvar",
    }
