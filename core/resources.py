"""What stands behind a prosumer's meter: battery, curtailable PV, inflexible load (paper A, section 4.1)."""

from dataclasses import dataclass
from enum import StrEnum
from math import cos, pi, sqrt

import numpy as np

from core.arrays import FloatArray

DISC_EDGES = 32
"""Edges of the polygon inscribed in the capability disc; it keeps 99.5 % of the radius, always on the safe side."""


class Capability(StrEnum):
    """How the converter's capability b² + β² ≤ S² enters the optimisation."""

    BOX = "box"
    DISC = "disc"


@dataclass(frozen=True)
class Battery:
    """Battery with its converter. ``efficiency`` is the factor of charging and again of discharging, in (0, 1]."""

    s_max_kva: float
    energy_kwh: float
    soc_initial: float = 0.5
    soc_min: float = 0.1
    soc_max: float = 0.9
    soc_final_min: float | None = None
    efficiency: float = 1.0
    capability: Capability = Capability.BOX

    @property
    def power_box_kw(self) -> float:
        """(20c, 20d): half-width of the inner box, S/√2; of the disc, S."""
        return self.s_max_kva / sqrt(2) if self.capability is Capability.BOX else self.s_max_kva

    def disc_halfplanes(self) -> tuple[FloatArray, float]:
        """Inscribed polygon of the disc: unit normals n [edges, 2] and offset d (kVA), n·(b, β) ≤ d."""
        angle = 2 * pi * np.arange(DISC_EDGES) / DISC_EDGES
        return np.column_stack([np.cos(angle), np.sin(angle)]), self.s_max_kva * cos(pi / DISC_EDGES)


@dataclass(frozen=True)
class Pv:
    """Curtailable photovoltaic plant; active power only (paper A, eq. 21)."""

    peak_kw: float


@dataclass(frozen=True)
class Prosumer:
    """Who is connected where, with which assets."""

    name: str
    node: str
    battery: Battery | None = None
    pv: Pv | None = None


@dataclass(frozen=True)
class Outlook:
    """What one prosumer expects (forecast) or met (realised): arrays [T] in kW and kvar, means of each step."""

    load_kw: FloatArray
    load_kvar: FloatArray
    pv_available_kw: FloatArray
