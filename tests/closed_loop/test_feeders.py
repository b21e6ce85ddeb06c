"""The closed loop with aggregators between operator and prosumers."""

from tests.support.paths import CONFIGS
from tests.support.simulated_day import Simulate


def test_a_noon_through_two_aggregators(simulate: Simulate) -> None:
    run = simulate("--start", "12:00", "--end", "12:30", config=CONFIGS / "gridlab9-feeders.yaml")
    assert run.summary["realtime"]["cycles"] == 60
    assert run.summary["mpc"]["converged"] == run.summary["mpc"]["runs"] == 3
    assert run.summary["measured"]["outside_10min"] == 0
    assert run.summary["referee"]["violations"] == 0
    assert (run.table("mpc.csv")["violation_pu"] <= 3e-4).all()
    assert set(run.table("aggregators.csv")["aggregator"]) == {"north", "south"}
    assert set(run.table("realtime.csv")["rung"][5 * 5 :]) == {"use"}
