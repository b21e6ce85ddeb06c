"""From when on a run is judged."""

import pandas as pd
import pytest

from controller.accounts.first_setpoints import judged_from

TIMES = pd.date_range("2018-06-21T10:00", periods=40, freq="30s", tz="UTC")


def table(*columns: list[str]) -> pd.DataFrame:
    """One column per prosumer; its last value continues."""
    filled = {f"P{k}": [*given, *[given[-1]] * (len(TIMES) - len(given))] for k, given in enumerate(columns)}
    return pd.DataFrame(filled, TIMES)


@pytest.mark.parametrize(
    ("rung", "reasons", "first"),
    [
        (table(["use"]), table([""]), 1),
        (table(["safe", "safe", "use"]), table(["rejoining", "rejoining", ""]), 3),
        (table(["safe", "use"], ["safe", "safe", "safe", "use"]), table([""], [""]), 4),
        (table(["safe", "use"]), table(["", "ramp", "ramp battery_saturated", "battery_saturated"]), 4),
        (table(["use"], [""]), table([""], ["assumed"]), 1),
        (table(["use"], ["safe"]), table([""], ["data_lost"]), 10),
        (table(["use"]), table(["ramp"]), 10),
    ],
    ids=["at once", "rejoining", "the last one", "ramps", "passive house", "never follows", "never arrives"],
)
def test_the_first_sample_after_all_have_arrived(rung: pd.DataFrame, reasons: pd.DataFrame, first: int) -> None:
    """One that never follows hides five minutes at most."""
    assert judged_from(rung, reasons) == TIMES[first].to_pydatetime()


def test_a_run_of_one_cycle_is_judged_at_its_only_sample() -> None:
    one = TIMES[:1]
    assert judged_from(pd.DataFrame({"P": ["safe"]}, one), pd.DataFrame({"P": [""]}, one)) == one[0]
