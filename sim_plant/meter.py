"""Measurement: noise, then resolution. Pure and repeatable.

The noise depends on (seed, device, virtual time) alone: not on how often the device is read, on the order of the
devices, or on the random generator of a library.
"""

from dataclasses import dataclass
from hashlib import blake2b
from statistics import NormalDist
from struct import unpack

_NORMAL = NormalDist()


@dataclass(frozen=True)
class MeterReading:
    """Line-to-line RMS voltage, RMS current and demand at one instant, true or as measured."""

    v_v: float
    i_a: float
    p_kw: float
    q_kvar: float


@dataclass(frozen=True)
class Accuracy:
    """Standard deviation of the noise, and resolution, per quantity. The defaults suit a class 0.2 meter."""

    v_noise_v: float = 0.08
    i_noise_a: float = 0.02
    s_noise_kva: float = 0.005
    v_step_v: float = 0.01
    i_step_a: float = 0.001
    s_step_kva: float = 0.001


EXACT = Accuracy(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""No noise, full resolution."""


def measure(truth: MeterReading, accuracy: Accuracy, seed: int, device: str, t_s: float) -> MeterReading:
    """The measured values at ``t_s`` (s since the start)."""
    v, i, p, q = normals(seed, device, t_s)
    return MeterReading(
        v_v=_resolved(truth.v_v + accuracy.v_noise_v * v, accuracy.v_step_v),
        i_a=max(0.0, _resolved(truth.i_a + accuracy.i_noise_a * i, accuracy.i_step_a)),
        p_kw=_resolved(truth.p_kw + accuracy.s_noise_kva * p, accuracy.s_step_kva),
        q_kvar=_resolved(truth.q_kvar + accuracy.s_noise_kva * q, accuracy.s_step_kva),
    )


def normals(seed: int, device: str, t_s: float) -> tuple[float, float, float, float]:
    """Four independent standard normal numbers for this seed, device and millisecond."""
    digest = blake2b(f"{seed} {device} {round(1000 * t_s)}".encode(), digest_size=32).digest()
    a, b, c, d = (_NORMAL.inv_cdf(((word >> 12) + 0.5) / 2**52) for word in unpack(">4Q", digest))
    return a, b, c, d


def _resolved(value: float, step: float) -> float:
    return round(round(value / step) * step, 9) if step else value
