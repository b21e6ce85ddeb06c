"""Studies of the penalty ρ: counterparts of figures 6 and 7 of paper A, for every splitting.

The penalty is varied relative to its natural scale (:mod:`mpc.coordination.star.penalty`), where 1 is a useful start on
every grid; the paper's absolute axis depends on its units.
"""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from controller.report.study.figures import price_response_figure, rho_figure
from controller.runs.directory import write_summary, write_table
from core.algorithms import SplittingName
from core.config import Config
from core.load import fingerprint, load_scenario
from core.prices import PriceSignal
from core.scenario import Scenario
from core.time import Clock
from mpc import day_ahead
from mpc.carrying import require_power_flow
from mpc.coordination.star.penalty import natural_penalty
from mpc.day_ahead import CoordinatedDay
from mpc.grid.rows import GridModel
from mpc.price import violation_price_chf_per_kwh
from mpc.prosumer import participants

Advance = Callable[[float], None]
Study = Callable[[Config, Path, Path, Clock, Advance], None]

PAPER_ITERATIONS = 80
RHO_RANGE = np.logspace(-2, 2, 13)
RESPONSE_RANGE = np.logspace(-4, 2, 19)
NEVER = 1e-15


def rho(config: Config, config_path: Path, folder: Path, clock: Clock, advance: Advance) -> None:
    """Write residuals, gap and violation after 80 rounds under each constant penalty to rho.csv and rho.svg."""
    scenario = load_scenario(config, config_path)
    require_power_flow(scenario, str(config_path))
    natural = _natural_penalty(config, scenario)
    rows = []
    for share, splitting, rho_rel in _grid(RHO_RANGE):
        settings = config.coordination.model_copy(
            update={
                "splitting": splitting,
                "rho": float(rho_rel * natural),
                "adaptive": False,
                "gap_tol": NEVER,
                "max_iterations": PAPER_ITERATIONS,
            }
        )
        prosumers = participants(scenario, config.solver.prosumer)
        last = day_ahead.coordinate(scenario.problem, prosumers, settings, clock).outcome.iterations[-1]
        rows.append(
            {
                "splitting": splitting,
                "rho_rel": rho_rel,
                "rho": last.rho,
                "primal": last.primal,
                "dual": last.dual,
                "gap_rel": last.gap_rel,
                "violation_pu": last.violation_pu,
            }
        )
        advance(share)
    _finish(config, config_path, folder, clock, "rho", pd.DataFrame(rows))
    rho_figure(pd.DataFrame(rows), config.currency, folder / "rho.svg")


def price_response(config: Config, config_path: Path, folder: Path, clock: Clock, advance: Advance) -> None:
    """Write cost and violation of answers to converged signals under other penalties to price_response.csv and .svg."""
    scenario = load_scenario(config, config_path)
    require_power_flow(scenario, str(config_path))
    natural = _natural_penalty(config, scenario)
    agreed = {
        splitting: day_ahead.coordinate(
            scenario.problem,
            participants(scenario, config.solver.prosumer),
            config.coordination.model_copy(update={"splitting": splitting}),
            clock,
        )
        for splitting in SplittingName
    }
    rows = []
    for share, splitting, rho_rel in _grid(RESPONSE_RANGE):
        cost, violation = _respond(config, scenario, agreed[splitting], float(rho_rel * natural))
        reference = sum(bill.coordinated_chf for bill in agreed[splitting].bills.values())
        rows.append(
            {
                "splitting": splitting,
                "rho_rel": rho_rel,
                "rho": rho_rel * natural,
                "cost_chf": cost,
                "cost_increase_chf": cost - reference,
                "violation_pu": violation,
            }
        )
        advance(share)
    _finish(config, config_path, folder, clock, "price_response", pd.DataFrame(rows))
    price_response_figure(pd.DataFrame(rows), config.currency, folder / "price_response.svg")


def _grid(values: np.ndarray) -> Iterator[tuple[float, SplittingName, float]]:
    """Share done after this point, splitting, and ρ relative to its natural scale, for each point of the study."""
    points = [(splitting, value) for splitting in SplittingName for value in values]
    for k, (splitting, value) in enumerate(points, 1):
        yield k / len(points), splitting, value


def _natural_penalty(config: Config, scenario: Scenario) -> float:
    prosumers = participants(scenario, config.solver.prosumer)
    baseline = day_ahead.uncoordinated(scenario.problem, prosumers, config.coordination)
    x = np.stack([agreement.profile.x for agreement in baseline.plan.agreements.values()])
    return natural_penalty(scenario.tariff.buy_chf_per_kwh * scenario.axis.dt_h, x)


def _respond(config: Config, scenario: Scenario, day: CoordinatedDay, rho: float) -> tuple[float, float]:
    """Retail cost and worst AC violation (comparable p.u.) of the answers to the agreed signals under ``rho``."""
    tariff, dt_h = scenario.tariff, scenario.axis.dt_h
    splitting, retail = day.outcome.splitting.with_rho(rho), tariff.signal(dt_h)
    x = [
        prosumer.respond(PriceSignal(signal.h, retail.g + signal.g, signal.fee_chf)).x
        for prosumer, signal in zip(participants(scenario, config.solver.prosumer), splitting.signals(), strict=True)
    ]
    grid = GridModel(scenario.problem, violation_price_chf_per_kwh(config.coordination, tariff))
    cost = sum(tariff.cost_chf(profile[:, 0], dt_h) for profile in x)
    return cost, grid.violation(grid.flow(np.stack(x))).worst_pu


def _finish(config: Config, path: Path, folder: Path, clock: Clock, name: str, frame: pd.DataFrame) -> None:
    write_table(folder / f"{name}.csv", frame)
    created = clock.now().isoformat(timespec="seconds")
    summary = {
        "command": f"study {name}",
        "name": config.name,
        "created_at": created,
        "config": str(path),
        "config_sha256": fingerprint(path, config),
        "version": version("gridlab"),
        "currency": config.currency,
    }
    write_summary(folder, summary)
