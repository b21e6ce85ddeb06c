"""Some hundred damaged configurations, register maps, series, journals and audit trails."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from core.load import load_yaml
from tests.support.commands import gridlab
from tests.support.fuzz.configurations import SOURCES, fuzz_configs, fuzz_hostile, fuzz_registers, fuzz_series
from tests.support.fuzz.findings import Findings, dice
from tests.support.fuzz.mutants import altered, as_yaml, torn
from tests.support.fuzz.records import fuzz_audits, fuzz_codec, fuzz_journals

SEED = 5
CAMPAIGNS: dict[Callable[[random.Random, int, Path], Findings], int] = {
    fuzz_configs: 100,
    fuzz_registers: 80,
    fuzz_series: 80,
    fuzz_journals: 60,
    fuzz_audits: 100,
}


@pytest.mark.parametrize("campaign", CAMPAIGNS, ids=lambda campaign: campaign.__name__)
def test_what_is_damaged_is_refused_by_the_account_or_as_good_as_before(
    campaign: Callable[[random.Random, int, Path], Findings], tmp_path: Path
) -> None:
    found = campaign(dice(SEED, campaign.__name__), CAMPAIGNS[campaign], tmp_path)
    assert found.clean, found.examples
    assert found.tried == CAMPAIGNS[campaign]
    assert 0 < found.accepted < found.tried


def test_documents_that_somebody_made_to_hurt(tmp_path: Path) -> None:
    found = fuzz_hostile(tmp_path)
    assert found.clean, found.examples


def test_json_of_records() -> None:
    found = fuzz_codec(dice(SEED, "codec"), 3000)
    assert found.clean, found.examples
    assert 0 < found.accepted < found.tried


@pytest.mark.parametrize("as_text", [False, True])
def test_the_program_ends_with_2_and_a_line_per_fault(
    as_text: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, path = dice(SEED, "program", as_text), tmp_path / "mutant.yaml"
    for _ in range(8):
        source = SOURCES[0]
        if as_text:
            path.write_bytes(torn(rng, source.read_text(encoding="utf-8")))
        else:
            path.write_text(as_yaml(altered(rng, load_yaml(source))), encoding="utf-8")
        ended = gridlab(capsys, "plan", path, "--out", tmp_path / "run", "--quiet")
        lines = ended.err.strip().splitlines()
        assert ended.code == 2
        assert lines
        assert all(line.startswith(str(tmp_path)) and "; allowed: " in line for line in lines), ended.err
        assert not (tmp_path / "run").exists()
