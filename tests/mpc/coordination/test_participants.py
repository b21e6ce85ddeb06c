"""A prosumer's node answers price signals, each with its number, and anything that can answer may take part."""

import numpy as np

from core.config_coordination import CoordinationConfig
from core.prices import DemandProfile, PriceSignal
from mpc.coordination import rounds
from mpc.coordination.nodes import Message
from mpc.coordination.outcome import CoordinationStatus
from mpc.coordination.participants import PriceResponsive, ProsumerNode
from mpc.coordination.star.operator import GridOperator
from mpc.grid.rows import GridModel
from mpc.prosumer import ProsumerProgram
from tests.support.synthetic import scenario
from tests.support.virtual_clock import VirtualClock

GRID = scenario(step_min=60, n_prosumers=2)
STEPS = GRID.axis.n_steps


def prosumer(k: int = 0) -> ProsumerProgram:
    return ProsumerProgram(GRID.sites[k], GRID.tariff, GRID.axis.dt_h)


def test_one_answer_per_signal() -> None:
    node = ProsumerNode(prosumer())
    signals = [GRID.tariff.signal(GRID.axis.dt_h), PriceSignal(np.zeros((STEPS, 2, 2)), np.zeros((STEPS, 2)), 3.0)]
    silly = Message("x", "P0", 9, DemandProfile(np.zeros((STEPS, 2)), 0.0))
    inbox = [Message("operator", "P0", 4, signals[0]), silly, Message("aggregator", "P0", 7, signals[1])]
    assert node.name == "P0"
    assert not node.start()
    answers = node.react(inbox)
    assert [(a.sender, a.receiver, a.question) for a in answers] == [("P0", "operator", 4), ("P0", "aggregator", 7)]
    for answer, signal in zip(answers, signals, strict=True):
        assert isinstance(answer.body, DemandProfile)
        np.testing.assert_allclose(answer.body.x, prosumer().respond(signal).x, atol=1e-6)


class HeatPump:
    """A resource of its own: 12 kWh of heat at any time, up to 3 kW, with a dislike of deviating from 0.5 kW."""

    name = "P1"
    comfort_chf_per_kw2 = 0.02

    def respond(self, signal: PriceSignal) -> DemandProfile:
        """Water filling: p(ν) minimises ½(h + c)p² + (g − 0.5 c − ν)p in 0 … 3; ν makes Σ p = 12."""
        curvature = signal.h[:, 0, 0] + self.comfort_chf_per_kw2
        slope = signal.g[:, 0] - 0.5 * self.comfort_chf_per_kw2
        low, high = -1e3, 1e3
        for _ in range(200):
            nu = (low + high) / 2
            p = np.clip((nu - slope) / curvature, 0, 3)
            low, high = (nu, high) if p.sum() < 12 else (low, nu)
        x = np.column_stack([p, np.zeros(STEPS)])
        own = 0.5 * self.comfort_chf_per_kw2 * float(np.sum((p - 0.5) ** 2))
        return DemandProfile(x, signal.cost_chf(x) + own)


def test_any_price_responsive_resource_takes_part() -> None:
    """With costs of its own, unknown to the operator, the gap still closes."""
    grid, settings = GridModel(GRID.problem, 2.0), CoordinationConfig()
    participants: list[PriceResponsive] = [prosumer(0), HeatPump()]
    operator = GridOperator(grid, settings, VirtualClock())
    rounds.run([operator, *map(ProsumerNode, participants)])
    outcome = operator.outcome
    assert outcome is not None
    assert outcome.status is CoordinationStatus.CONVERGED
    assert outcome.gap_rel is not None
    assert abs(outcome.gap_rel) <= settings.gap_tol
    x = outcome.best.agreements["P1"].profile.x
    assert abs(x[:, 0].sum() * GRID.axis.dt_h - 12) < 1e-6
    own = outcome.best.cost_chf - sum(
        GRID.tariff.cost_chf(agreement.profile.x[:, 0], GRID.axis.dt_h)
        for agreement in outcome.best.agreements.values()
    )
    expected = 0.5 * HeatPump.comfort_chf_per_kw2 * np.sum((x[:, 0] - 0.5) ** 2)
    assert abs(own - expected) < 1e-6
