"""Equivalent circuits: transformers and open lines as impedances, ratios and shunts, referred to one voltage.

A transformer is the T circuit of its short-circuit and no-load tests, with the impedance z split between both sides of
the magnetising branch y. From T to π (star to delta) with the parts a z and (1 − a) z:

    z_π = a z + (1 − a) z + a (1 − a) z² y,   y_hv = (1 − a) z y / z_π,   y_lv = a z y / z_π

which is exact, so that the branch becomes a shunt at each of both nodes.
"""

from dataclasses import dataclass
from math import sqrt

from controller.grids.elements import GridBus, GridCable, GridTransformer


@dataclass(frozen=True)
class TransformerCircuit:
    """A transformer referred to ``base_kv``: z in Ω, shunts in µS at the nodes of high and low voltage, ratio in
    p.u. of the buses, rated current at the end of the high voltage in A.
    """

    z_ohm: complex
    y_us: tuple[complex, complex]
    ratio: float
    i_max_a: float


def transformer_circuit(
    transformer: GridTransformer, high: GridBus, low: GridBus, base_kv: float
) -> TransformerCircuit:
    """The circuit of a transformer between two buses."""
    tapped_hv, tapped_lv = transformer.tapped_kv
    ratio = tapped_hv / high.nominal_kv / (tapped_lv / low.nominal_kv)
    to_base = (base_kv / low.nominal_kv) ** 2
    z = _short_circuit_ohm(transformer) * to_base
    y = _magnetising_s(transformer) / to_base
    a = complex(z.real * transformer.leakage_hv[0], z.imag * transformer.leakage_hv[1])
    b = z - a
    z_pi = a + b + a * b * y
    i_a = transformer.parallel * transformer.s_kva / (sqrt(3) * transformer.rated_kv[0]) * high.nominal_kv / base_kv
    return TransformerCircuit(z_pi, (1e6 * b * y / z_pi / ratio**2, 1e6 * a * y / z_pi), ratio, i_a)


def _short_circuit_ohm(transformer: GridTransformer) -> complex:
    """From the short-circuit test, at the low voltage."""
    base_ohm = 1e3 * transformer.tapped_kv[1] ** 2 / transformer.s_kva / transformer.parallel
    z, r = transformer.vk_percent / 100, transformer.vkr_percent / 100
    return base_ohm * complex(r, sqrt(max(z**2 - r**2, 0.0)))


def _magnetising_s(transformer: GridTransformer) -> complex:
    """From the no-load test, at the low voltage."""
    base_s = transformer.s_kva * transformer.parallel / (1e3 * transformer.tapped_kv[1] ** 2)
    g, y = transformer.no_load_kw / transformer.s_kva, transformer.i0_percent / 100
    return base_s * complex(g, -sqrt(max(y**2 - g**2, 0.0)))


def open_cable_us(cable: GridCable) -> complex:
    """What a cable draws that is open at one end, at its own voltage, µS."""
    half = 1e-6 * cable.y_us / 2
    return 1e6 * (half + 1 / (cable.z_ohm + 1 / half)) if half else 0j
