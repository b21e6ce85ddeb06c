"""The kind ``dispatch``: its problem from a file, and its tables."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from controller.solve.problem import Prepared, Solved, SolveRequest, SolveWatch
from core.config_dispatch import DispatchConfig
from mpc.coordination.dispatch.coordinator import DispatchSettings
from mpc.coordination.dispatch.coordinator_node import DispatchCoordinator
from mpc.coordination.dispatch.fleet import Fleet
from mpc.coordination.dispatch.outcome import DispatchOutcome
from mpc.coordination.dispatch.solve import coordinate_dispatch, coordinate_fleet
from mpc.coordination.dispatch.target import Norm, SectorTarget
from mpc.coordination.metering import MessageMeter
from mpc.coordination.rounds import Carrier, run_rounds
from mpc.coordination.solving import SolveStatus

MOST_NODES = 200
"""More resources are answered as one fleet, by one node, unless their links are simulated."""
MOST_HOPS = 1_000_000


def prepare(config: DispatchConfig) -> Prepared:
    """The problem; it names no files."""
    words = f"{len(config.resources)} resources, {len(config.sectors)} sectors"
    return Prepared(words, partial(_solve, config, fleet_of(config), target_of(config)))


def fleet_of(config: DispatchConfig) -> Fleet:
    """The resources as arrays."""
    resources, none = config.resources, (0.0,) * len(config.sectors)
    return Fleet(
        names=tuple(each.name for each in resources),
        capacity_kw=np.array([each.capacity_kw for each in resources]),
        efficiency=np.array([each.efficiency for each in resources]),
        priority=np.array([each.priority or none for each in resources]),
        fallback_kw=np.array([each.fallback_kw for each in resources]),
    )


def target_of(config: DispatchConfig) -> SectorTarget:
    """The target."""
    return SectorTarget(np.array(config.target_kw), np.array(config.weights), Norm(config.norm))


def _solve(
    config: DispatchConfig, fleet: Fleet, target: SectorTarget, request: SolveRequest, watch: SolveWatch
) -> Solved:
    meter, settings = MessageMeter(), DispatchSettings(max_rounds=request.max_rounds)

    def carry(coordinator: DispatchCoordinator) -> Carrier:
        def expired() -> bool:
            return watch.after(coordinator.rounds)

        return meter.over(partial(run_rounds, link=request.link, max_rounds=MOST_HOPS, expired=expired))

    each_alone = request.link is not None or len(fleet.names) <= MOST_NODES
    coordinate = coordinate_dispatch if each_alone else coordinate_fleet
    outcome = coordinate(fleet, target, settings, carry)
    sectors = _sectors_table(config.sectors, target, outcome)
    return Solved(
        status=_status(outcome, watch),
        objective=outcome.objective,
        bound=outcome.bound,
        gap_rel=outcome.gap_rel,
        violation=None,
        rounds=outcome.rounds,
        hops_per_round=2,
        messages=meter.messages,
        payload_bytes=meter.payload_bytes,
        participants=len(fleet.names),
        silent=tuple(each.name for each in outcome.silent),
        tables={"resources": _resources_table(config.sectors, fleet, outcome), "sectors": sectors},
        shown=sectors,
        more={"silent_rounds": {each.name: each.age for each in outcome.silent}} if outcome.silent else {},
    )


def _status(outcome: DispatchOutcome, watch: SolveWatch) -> SolveStatus:
    if watch.reason is SolveStatus.INTERRUPTED and not outcome.converged:
        return SolveStatus.INTERRUPTED
    if outcome.silent:
        return SolveStatus.PARTIAL
    return SolveStatus.CONVERGED if outcome.converged else watch.reason or SolveStatus.ROUNDS


def _resources_table(sectors: Sequence[str], fleet: Fleet, outcome: DispatchOutcome) -> pd.DataFrame:
    outputs = {f"{sector}_kw": outcome.outputs_kw[:, m] for m, sector in enumerate(sectors)}
    return pd.DataFrame({"resource": fleet.names, "input_kw": outcome.inputs_kw, **outputs})


def _sectors_table(sectors: Sequence[str], target: SectorTarget, outcome: DispatchOutcome) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sector": list(sectors),
            "target_kw": target.kw,
            "aggregate_kw": outcome.aggregate_kw,
            "deviation_kw": outcome.deviation_kw,
            "price": outcome.price,
        }
    )
