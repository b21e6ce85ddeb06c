"""Random prosumers and tariffs of a day: synthetic, from a generator alone (paper B, section IV).

The paper says that each agent has a random generated power profile and a battery with a random starting state of
charge. Its numbers are not known; those below are ours, of the size of a household:

- load: a base and humps in the morning and in the evening, each of random height, time and width, with noise;
- PV on half of the roofs: a bell around noon, dimmed by clouds step by step; it cannot be curtailed, as in (17), where
  the power of an agent is that of its battery and an uncontrolled one;
- battery: without losses of energy, a linear system as in the paper, and with 2 % lost in its converter at full power,
  which makes every optimum unique.
"""

import numpy as np

from core.arrays import FloatArray
from core.prices import Tariff
from core.resources import Battery, Load
from core.scenario import Site
from core.time import TimeAxis

PV_SHARE = 0.5
"""Share of the leaves with PV."""
LOSS_REL = 0.02


def random_tariff(generator: np.random.Generator, axis: TimeAxis) -> Tariff:
    """A price with humps in the morning and in the evening, and feed-in at a share of it, CHF/kWh."""
    hour = _hours(axis)
    base, morning, evening = generator.uniform([0.12, 0.02, 0.05], [0.2, 0.1, 0.2])
    noise = generator.normal(0.0, 0.005, len(hour))
    buy = base + morning * _hump(hour, 8.0, 1.5) + evening * _hump(hour, 19.0, 2.0) + noise
    return Tariff(buy, generator.uniform(0.3, 0.8) * buy)


def random_site(generator: np.random.Generator, axis: TimeAxis, name: str) -> Site:
    """A prosumer with an uncontrolled load less PV, and a battery."""
    p_kw, q_kvar = _load(generator, _hours(axis))
    energy_kwh = generator.uniform(3.0, 12.0)
    battery = Battery(
        s_max_kva=generator.uniform(0.25, 0.6) * energy_kwh,
        energy_kwh=energy_kwh,
        soc_initial=generator.uniform(0.1, 0.9),
        loss_rel=LOSS_REL,
    )
    return Site(name, name, {"load": Load(p_kw, q_kvar), "battery": battery})


def _load(generator: np.random.Generator, hour: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Load less PV, kW, and reactive load, kvar."""
    base, morning, evening = generator.uniform([0.1, 0.2, 0.5], [0.5, 1.5, 3.0])
    at, width = generator.normal([7.5, 19.0], 1.0), generator.uniform(0.8, 2.0, 2)
    drawn = base + morning * _hump(hour, at[0], width[0]) + evening * _hump(hour, at[1], width[1])
    drawn = drawn * generator.uniform(0.7, 1.3, len(hour))
    clouds = generator.uniform(0.4, 1.0, len(hour))
    peak_kw = generator.uniform(2.0, 6.0) * (generator.random() < PV_SHARE)
    return drawn - peak_kw * clouds * _hump(hour, 13.0, 2.5), generator.uniform(0.1, 0.5) * drawn


def _hours(axis: TimeAxis) -> FloatArray:
    """Hour of the day at the middle of each step."""
    return np.asarray((np.arange(axis.n_steps) + 0.5) * axis.dt_h % 24)


def _hump(hour: FloatArray, at: float, width: float) -> FloatArray:
    return np.asarray(np.exp(-0.5 * ((hour - at) / width) ** 2))
