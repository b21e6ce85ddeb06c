"""Fuzzing for minutes instead of seconds: the campaigns of tests/fuzz with a million frames and thousands of documents.

``python -m benchmarks.chaos_proof fuzzing`` puts the table into docs/reliability.md.
"""

import logging
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks.tables import ResultTable, Targets
from tests.support.fuzz.configurations import fuzz_configs, fuzz_hostile, fuzz_registers, fuzz_series
from tests.support.fuzz.findings import Findings, dice, total
from tests.support.fuzz.mapped_devices import fuzz_converter, fuzz_meter
from tests.support.fuzz.opcua_samples import fuzz_opcua
from tests.support.fuzz.records import fuzz_audits, fuzz_codec, fuzz_journals
from tests.support.fuzz.register_values import WORDS_PER_REGISTER, fuzz_register_values
from tests.support.fuzz.sunspec_devices import fuzz_sunspec

FRAMES, DOCUMENTS = 1_000_000, 1000
CHUNK = 5000
"""Readings per event loop."""


@dataclass(frozen=True)
class FuzzCampaign:
    """A source of damaged inputs; ``run(seed, k)`` tries its k-th part, until ``at_least`` inputs were tried."""

    name: str
    at_least: int
    run: Callable[[int, int], Findings]


def campaigns(frames: int, documents: int) -> Iterator[FuzzCampaign]:
    """All campaigns: frames and values of devices, files, hostile documents, and JSON of records."""
    for name, fuzz, share, readings in (
        ("frames of a meter", fuzz_meter, 0.4, CHUNK),
        ("frames of a converter", fuzz_converter, 0.4, CHUNK),
        ("frames of SunSpec devices", fuzz_sunspec, 0.2, CHUNK // 10),
    ):
        yield FuzzCampaign(name, int(share * frames), partial(_devices, name, fuzz, readings))
    yield FuzzCampaign(
        "registers of random maps",
        frames,
        partial(_devices, "values", fuzz_register_values, CHUNK // WORDS_PER_REGISTER),
    )
    yield FuzzCampaign("OPC UA readings", frames // 100, partial(_devices, "samples", fuzz_opcua, CHUNK))
    for name, damage in (
        ("configurations", fuzz_configs),
        ("register maps", fuzz_registers),
        ("series", fuzz_series),
        ("journals", fuzz_journals),
        ("audit trails", fuzz_audits),
    ):
        yield FuzzCampaign(name, documents, partial(_files, name, damage, documents))
    yield FuzzCampaign("hostile documents", 1, lambda *_: _in_folder(fuzz_hostile))
    yield FuzzCampaign(
        "JSON of records", 20 * documents, lambda seed, k: fuzz_codec(dice(seed, "JSON", k), 20 * documents)
    )


def run(seed: int = 1, frames: int = FRAMES, documents: int = DOCUMENTS) -> Iterator[ResultTable]:
    """Yield the table of the campaigns, then the targets; print examples of findings to stderr."""
    logging.disable(logging.CRITICAL)
    table = ResultTable(f"Seed {seed}", ("", "tried", "accepted", "crashes", "wrong accepted", "s"))
    results = []
    for campaign in campaigns(frames, documents):
        began_s = time.perf_counter()
        found = _run(campaign, seed)
        results.append(found)
        table.add(campaign.name, *_cells(found), f"{time.perf_counter() - began_s:.0f}")
        for example in found.examples:
            print(f"{campaign.name}: {example}", file=sys.stderr)
    logging.disable(logging.NOTSET)
    yield table
    targets, found = Targets(), total(results)
    targets.check("crashes: 0", str(found.crashes), not found.crashes)
    targets.check("wrong values accepted: 0", str(found.wrong), not found.wrong)
    yield targets


def main() -> None:
    """Run with the seed and the numbers of the command line."""
    parser = ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, default=FRAMES, help="Modbus frames, and as many registers")
    parser.add_argument("--documents", type=int, default=DOCUMENTS, help="of each kind")
    table, targets = run(**vars(parser.parse_args()))
    for shown in (table, targets):
        shown.show(Console(width=160))
    sys.exit(isinstance(targets, Targets) and targets.missed)


def _run(campaign: FuzzCampaign, seed: int) -> Findings:
    parts: list[Findings] = []
    while sum(part.tried for part in parts) < campaign.at_least:
        parts.append(campaign.run(seed, len(parts)))
    return total(parts)


def _devices(name: str, fuzz: Callable[..., Findings], size: int, seed: int, k: int) -> Findings:
    return fuzz(dice(seed, name, k), size)


def _files(name: str, damage: Callable[..., Findings], size: int, seed: int, k: int) -> Findings:
    return _in_folder(partial(damage, dice(seed, name, k), size))


def _in_folder(act: Callable[[Path], Findings]) -> Findings:
    with TemporaryDirectory() as folder:
        return act(Path(folder))


def _cells(found: Findings) -> Iterator[str]:
    for number in (found.tried, found.accepted, found.crashes, found.wrong):
        yield f"{number:,}".replace(",", " ")


if __name__ == "__main__":
    main()
