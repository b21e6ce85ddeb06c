"""What the process image takes for fresh while a meter does wrong; the other meters share its address."""

from pathlib import Path

import pytest

from core.devices import Quality
from tests.support.service_bench import Bench, bench, midsummer, selfish_plans

ILL = "n4_meter"
GOOD, INVALID, STALE = Quality.GOOD, Quality.INVALID, Quality.STALE


async def cycles(lab: Bench, n: int) -> list[Quality]:
    """Of the ill meter, after each of ``n`` cycles; the others are fresh in every one."""
    found = []
    for _ in range(n):
        image = (await lab.cycle()).image
        fresh = {name for name in image.quality if image.fresh(name)}
        assert {name for name in image.quality if name.endswith("meter") and name != ILL} <= fresh
        assert (ILL in fresh) == (image.quality[ILL] is GOOD)
        found.append(image.quality[ILL])
    return found


@pytest.mark.parametrize(
    ("fault", "during", "after"),
    [
        ("late", [INVALID] * 3, [GOOD] * 2),
        ("silent", [INVALID] * 2, [GOOD] * 2),
        ("frozen", [STALE] * 3, [GOOD] * 2),
        ("clock_jumps", [INVALID, INVALID, GOOD, GOOD], [INVALID, INVALID, GOOD, GOOD]),
    ],
)
async def test_fresh_is_what_was_measured_just_now(
    fault: str, during: list[Quality], after: list[Quality], tmp_path: Path
) -> None:
    async with bench(tmp_path, midsummer(), selfish_plans()) as lab:
        assert await cycles(lab, 2) == [GOOD] * 2
        await lab.plant.switch(fault, ILL, on=True)
        assert await cycles(lab, len(during)) == during
        await lab.plant.switch(fault, ILL, on=False)
        assert await cycles(lab, len(after)) == after
