"""A network as other programs describe it: buses of several voltages, equipment, and what is connected to them.

Powers are means of :data:`STEPS` quarter hours of a day, [STEPS], in kW and kvar; demand and generation are positive.
"""

from dataclasses import dataclass, field

import numpy as np

from core.arrays import FloatArray

STEPS = 96


@dataclass(frozen=True)
class GridBus:
    """A bus with its nominal voltage, and the band that the source allows there, p.u."""

    name: str
    nominal_kv: float
    v_min_pu: float | None = None
    v_max_pu: float | None = None


@dataclass(frozen=True)
class GridCable:
    """A line at its own voltage, all parallel systems together; ``open_ends``: 0 at from_bus, 1 at to_bus."""

    name: str
    ends: tuple[int, int]
    z_ohm: complex
    y_us: complex = 0j
    i_max_a: float | None = None
    open_ends: frozenset[int] = frozenset()


@dataclass(frozen=True)
class GridTransformer:
    """A transformer of two windings, ``parallel`` equal ones together; voltages of its rating after its tap changers.

    Attributes:
        ends: bus of the high and of the low voltage.
        rated_kv: voltages of the rating, high and low.
        tapped_kv: the same, moved by the tap changers.
        leakage_hv: shares of resistance and reactance on the side of the high voltage, as seen from the magnetising
            branch.
    """

    name: str
    ends: tuple[int, int]
    s_kva: float
    rated_kv: tuple[float, float]
    tapped_kv: tuple[float, float]
    vk_percent: float
    vkr_percent: float
    no_load_kw: float
    i0_percent: float
    parallel: int = 1
    is_open: bool = False
    leakage_hv: tuple[float, float] = (0.5, 0.5)


@dataclass(frozen=True)
class GridLoad:
    """Demand at a bus."""

    name: str
    bus: int
    p_kw: FloatArray
    q_kvar: FloatArray


@dataclass(frozen=True)
class GridGenerator:
    """Generation at a bus: P > 0 and Q > 0 are fed in."""

    name: str
    bus: int
    p_kw: FloatArray
    q_kvar: FloatArray
    rated_kva: float | None = None


@dataclass(frozen=True)
class GridStorage:
    """A storage at a bus."""

    name: str
    bus: int
    s_kva: float
    energy_kwh: float
    soc: float
    soc_min: float = 0.0
    efficiency: float = 1.0


@dataclass
class GridSource:
    """Everything that was read; ``notes`` says what was left out or assumed.

    Attributes:
        buses: by a number of the source.
        joints: pairs of buses that a closed switch connects.
        supplies: (bus, voltage in p.u.) of each external grid.
        shunts: (bus, S in µS at nominal voltage).
    """

    name: str
    buses: dict[int, GridBus] = field(default_factory=dict)
    cables: list[GridCable] = field(default_factory=list)
    transformers: list[GridTransformer] = field(default_factory=list)
    joints: list[tuple[int, int]] = field(default_factory=list)
    supplies: list[tuple[int, float]] = field(default_factory=list)
    shunts: list[tuple[int, complex]] = field(default_factory=list)
    loads: list[GridLoad] = field(default_factory=list)
    generators: list[GridGenerator] = field(default_factory=list)
    storages: list[GridStorage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def constant(value: float) -> FloatArray:
    """A power that does not change, [STEPS]."""
    return np.full(STEPS, float(value))
