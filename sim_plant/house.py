"""A passive house: it draws what its series says, and nobody controls it."""

from dataclasses import dataclass, field

import numpy as np

from core.arrays import FloatArray


@dataclass(frozen=True)
class House:
    """Net demand of a passive house at a node, linear between samples.

    Attributes:
        times_s: of the samples, s since the plant's start; the series repeats after ``period_s``.
        p_kw, q_kvar: load less the available PV, at ``times_s``.
    """

    name: str
    node: str
    times_s: FloatArray
    p_kw: FloatArray = field(repr=False)
    q_kvar: FloatArray = field(repr=False)
    period_s: float = 86_400.0

    def at(self, t_s: float) -> complex:
        """Demand at one time, kVA."""
        p_kw = np.interp(t_s, self.times_s, self.p_kw, period=self.period_s)
        q_kvar = np.interp(t_s, self.times_s, self.q_kvar, period=self.period_s)
        return complex(p_kw, q_kvar)


@dataclass(frozen=True)
class HouseState:
    """A house at ``t_s``. ``energy_kvah`` is ∫ S dt since the start, kWh + j kvarh, by the trapezoidal rule."""

    t_s: float
    s_kva: complex
    energy_kvah: complex = 0j

    def advanced(self, t_s: float, s_kva: complex) -> "HouseState":
        """The state at ``t_s``, at which it draws ``s_kva``."""
        hours = (t_s - self.t_s) / 3600
        return HouseState(t_s, s_kva, self.energy_kvah + (self.s_kva + s_kva) / 2 * hours)
