"""The small laboratory of tests/cases/plans, whose two houses have a reason to waste energy in each case, and the
default day with a negative tariff.
"""

from typing import Any

from core.load import config_of, load_scenario, load_yaml
from core.scenario import Scenario
from tests.support.paths import CONFIG, ROOT

CASE = ROOT / "tests" / "cases" / "plans"
WASTEFUL = {"efficiency": 0.9, "energy_kwh": 4.0}
NEGATIVE = {"file": "tariff_negative.csv", "column": "price"}
CASES: dict[str, dict[str, Any]] = {
    "03 negative tariff": {"tariff": NEGATIVE, "battery": WASTEFUL},
    "03b negative feed-in": {
        "tariff": {**NEGATIVE, "feed_in": {"file": "feed_in_negative.csv", "column": "f"}},
        "battery": WASTEFUL,
    },
    "13b far too much PV": {"pv": {"file": "pv_absolute.csv", "column": "pv"}},
    "28 free energy": {"tariff": {"constant": 0.0}},
    "28b paid to consume": {"tariff": {"constant": -0.05}},
    "29 worthless feed-in": {"tariff": {"file": "tariff.csv", "column": "price", "feed_in": 0.0}},
    "29b without a battery": {"tariff": {"file": "tariff.csv", "column": "price", "feed_in": 0.0}, "battery": None},
}


def small_laboratory(name: str) -> Scenario:
    document, changes = load_yaml(CASE / "lab.yaml"), CASES[name]
    assert isinstance(document, dict)
    if "tariff" in changes:
        document["tariff"] = changes["tariff"]
    for prosumer in document["prosumers"]:
        battery = changes.get("battery", {})
        prosumer["battery"] = None if battery is None else prosumer["battery"] | battery
        prosumer["pv"]["forecast"] = changes.get("pv", prosumer["pv"]["forecast"])
    path = CASE / "lab.yaml"
    return load_scenario(config_of(document, path), path)


def laboratory_day_with_a_negative_tariff() -> Scenario:
    """Case 03c: the default scenario, whose batteries lose a tenth each way; energy costs less than nothing at noon."""
    document = load_yaml(CONFIG)
    assert isinstance(document, dict)
    document["tariff"] = {"file": str(CASE / "tariff_hourly.csv"), "column": "price"}
    for prosumer in document["prosumers"]:
        prosumer["battery"] |= {"efficiency": 0.9, "loss_rel": 0.0}
    return load_scenario(config_of(document, CONFIG), CONFIG)
