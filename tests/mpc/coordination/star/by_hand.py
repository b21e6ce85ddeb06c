"""A coordination without operator and messages, round by round."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.arrays import FloatArray
from core.scenario import Scenario
from mpc.coordination.star.splitting import Splitting
from mpc.grid.rows import GridModel
from mpc.prosumer import participants
from tests.mpc.coordination.star.recording import PRICE_CAP

RHO_CHF_PER_KW2 = 0.02


@dataclass(frozen=True)
class Round:
    """The signals of ``before`` were answered by x, its plain prices by a bound; ``after`` is the update."""

    before: Splitting
    x: FloatArray
    bound_chf: float
    after: Splitting


def rounds_of(grid: Scenario, kind: Any, count: int, alpha: float = 1.6, relinearise_every: int = 3) -> Iterator[Round]:
    """``kind`` is the class of a splitting; the first re-linearisation comes after ``relinearise_every`` rounds."""
    model = GridModel(grid.problem, PRICE_CAP)
    prosumers, tariff = participants(grid), grid.tariff.signal(grid.axis.dt_h)
    x = np.stack([prosumer.respond(tariff).x for prosumer in prosumers])
    rows = model.linearise(x)
    state = kind.start(x, rows, RHO_CHF_PER_KW2).update(x, rows, 1.0)
    for k in range(1, count + 1):
        plain = [replace(tariff, g=tariff.g + price) for price in state.rows.to_profiles(state.row_prices)]
        answers = [prosumer.respond(signal) for prosumer, signal in zip(prosumers, plain, strict=True)]
        bound = sum(answer.cost_chf - answer.above_relaxed_chf for answer in answers)
        priced = [replace(signal, g=tariff.g + signal.g) for signal in state.signals()]
        x = np.stack([prosumer.respond(signal).x for prosumer, signal in zip(prosumers, priced, strict=True)])
        rows = model.linearise(x) if k % relinearise_every == 0 else state.rows
        before, state = state, state.update(x, rows, alpha)
        yield Round(before, x, bound - before.rows.shadow_cost(before.row_prices), state)
