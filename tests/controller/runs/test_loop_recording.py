"""Reading the tables of a run: what is wrong is named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from controller.runs.recording import MPC, PLAN, POWERS, TEXT_COLUMNS, Recording
from core.errors import InputError

TIMES = ("2018-06-21T12:00:00+02:00", "2018-06-21T12:00:30+02:00")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two samples of two prosumers, of whom ``NA`` has no battery and no words."""
    rows = [(time, name) for time in TIMES for name in ("NA", "007")]
    realtime = pd.DataFrame(rows, columns=["time", "prosumer"])
    for k, column in enumerate(POWERS):
        realtime[column] = np.where(realtime["prosumer"] == "NA", np.nan, float(k))
    for word in TEXT_COLUMNS:
        realtime[word] = np.where(realtime["prosumer"] == "NA", "", word)
    realtime.to_csv(tmp_path / "realtime.csv", index=False)
    nodes = [(time, node, 1.0) for time in TIMES for node in ("S", "A")]
    pd.DataFrame(nodes[:-1], columns=["time", "node", "v_pu"]).to_csv(tmp_path / "nodes.csv", index=False)
    plan = pd.DataFrame([(TIMES[0], name) for name in ("NA", "007")], columns=["time", "prosumer"])
    plan.assign(**dict.fromkeys(PLAN, 1.0)).to_csv(tmp_path / "plan.csv", index=False)
    pd.DataFrame(columns=list(MPC)).to_csv(tmp_path / "mpc.csv", index=False)
    return tmp_path


def test_tables_are_wide_and_in_order(run: Path) -> None:
    recording = Recording.read(run)
    assert recording.prosumers == ["NA", "007"]
    assert [t.isoformat() for t in recording.times] == ["2018-06-21T10:00:00+00:00", "2018-06-21T10:00:30+00:00"]
    assert recording.realtime["soc"]["NA"].isna().all()
    assert list(recording.realtime["reasons"]["NA"]) == ["", ""]
    assert list(recording.v_pu["A"].isna()) == [False, True], "a missing row is a missing value"
    assert recording.mpc.empty


def edited(file: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def corrupt(run: Path) -> None:
        change(pd.read_csv(run / file, keep_default_na=False)).to_csv(run / file, index=False)

    return corrupt


CORRUPTIONS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda run: (run / "mpc.csv").unlink(), "mpc.csv"),
    "no column": (edited("realtime.csv", lambda t: t.drop(columns="soc")), "realtime.csv"),
    "no rows": (edited("realtime.csv", lambda t: t.head(0)), "realtime.csv: got no rows"),
    "repeated": (edited("nodes.csv", lambda t: pd.concat([t, t.head(1)])), "nodes.csv: time"),
    "word": (edited("nodes.csv", lambda t: t.assign(v_pu="high")), "nodes.csv: v_pu: got text"),
    "no time": (edited("plan.csv", lambda t: t.assign(time="noon")), "plan.csv"),
}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_what_is_wrong_is_named(run: Path, corruption: str) -> None:
    corrupt, expected = CORRUPTIONS[corruption]
    corrupt(run)
    with pytest.raises(InputError, match=expected):
        Recording.read(run)
