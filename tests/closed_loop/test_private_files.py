"""Files of a simulated run, by a user whose umask is 0: for user and group, whatever wrote them."""

import subprocess
from pathlib import Path

from tests.support.commands import GRIDLAB
from tests.support.paths import CONFIG


def test_a_run_is_for_user_and_group(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "run"
    words = ("simulate", CONFIG, "--start", "12:00", "--end", "12:10", "--out", run, "--quiet")
    done = subprocess.run([*GRIDLAB, *map(str, words)], capture_output=True, text=True, umask=0)
    assert done.returncode == 0, done.stderr
    modes = {path.relative_to(tmp_path): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    files = {
        "audit.jsonl",
        "telemetry.sqlite",
        "journal.sqlite",
        "plan.csv",
        "realtime.csv",
        "report.html",
        "frames.jsonl",
    }
    assert files <= {path.name for path in modes}
    assert {path: f"{mode:o}" for path, mode in modes.items() if mode & 0o027} == {}
    assert {mode for path, mode in modes.items() if (tmp_path / path).is_dir()} == {0o750}
