"""Resources as arrays, and their answers in closed form: all resources of a fleet at once, no solver."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray
from mpc.coordination.dispatch.signals import MEMORY, Column, DispatchAnswer, DispatchSignal, Mixture


@dataclass(frozen=True)
class Fleet:
    """Resources, one or many; N resources over M sectors.

    Attributes:
        names: unique.
        capacity_kw: largest input, ≥ 0, [N].
        efficiency: output per input, of any sign, [N, M].
        priority: own cost S per kW of output, [N, M]. A positive one is penalised.
        fallback_kw: input that is assumed of a resource that was never heard, [N].
    """

    names: tuple[str, ...]
    capacity_kw: FloatArray
    efficiency: FloatArray
    priority: FloatArray
    fallback_kw: FloatArray

    @property
    def input_cost(self) -> FloatArray:
        """Own cost per kW of input, η'S, [N]."""
        return np.asarray(np.sum(self.efficiency * self.priority, axis=1))

    def each(self) -> list["Fleet"]:
        """Every resource as a fleet of its own."""
        return [self.part(slice(k, k + 1)) for k in range(len(self.names))]

    def part(self, where: slice) -> "Fleet":
        """Some of the resources."""
        arrays = (self.capacity_kw, self.efficiency, self.priority, self.fallback_kw)
        return Fleet(self.names[where], *(each[where] for each in arrays))


class FleetResponder:
    """Answers signals for a fleet; its memory is all that belongs to the resources in a coordination.

    With v and ρ of the signal and the own a (0 at first), for each resource

        s = clip(a − (v'η + η'S) / (ρ‖η‖²), 0, capacity)        ← clip(η'(ρ Z − λ − S) / (ρ‖η‖²)) with Z = η a + b, and
        a ← α s + (1 − α) a                                       v = λ − ρ b: b is common to all

    and the plain answer ŝ = capacity where (price + S)'η < 0, else 0, whose cost is the resource's share of the bound.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._cost = fleet.input_cost
        self._square = np.einsum("nm,nm->n", fleet.efficiency, fleet.efficiency)
        self._useful = self._square > 0
        self._relaxed = np.zeros(len(fleet.names))
        self._memory = {kind: deque[tuple[int, NDArray[Any]]](maxlen=MEMORY[kind]) for kind in Column}
        self._adopted: FloatArray | None = None

    @property
    def inputs_kw(self) -> FloatArray:
        """The adopted inputs, [N]; before anything was adopted, the declared fallbacks."""
        return self.fleet.fallback_kw if self._adopted is None else self._adopted

    def answer(self, signal: DispatchSignal) -> DispatchAnswer:
        """The sums of the answers of all resources."""
        self.adopt(signal.adopt)
        fleet, full = self.fleet, self._full(signal.price)
        plain = np.where(full, fleet.capacity_kw, 0.0)
        self._memory[Column.PLAIN].append((signal.round, full))
        inputs = self._priced(signal) if signal.rho else plain
        return DispatchAnswer(
            count=int(self._useful.sum()),
            swing_square=float(self._square @ fleet.capacity_kw**2),
            output=inputs @ fleet.efficiency,
            cost=float(self._cost @ inputs),
            relaxed=self._relaxed @ fleet.efficiency,
            plain_output=plain @ fleet.efficiency,
            plain_cost=float(self._cost @ plain),
        )

    def adopt(self, mixture: Mixture | None) -> None:
        """Make a mixture of past answers the inputs; None keeps them."""
        if mixture is not None:
            self._adopted = self._mixed(mixture)

    def _priced(self, signal: DispatchSignal) -> FloatArray:
        slope = self.fleet.efficiency @ signal.pull + self._cost
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted = np.where(self._useful, self._relaxed - slope / (signal.rho * self._square), 0.0)
        inputs = np.clip(wanted, 0.0, self.fleet.capacity_kw)
        self._relaxed = signal.relaxation * inputs + (1 - signal.relaxation) * self._relaxed
        self._memory[Column.PRICED].append((signal.round, inputs))
        return np.asarray(inputs)

    def _full(self, price: FloatArray) -> NDArray[np.bool_]:
        """Whose plain answer is the whole capacity."""
        return np.asarray(self._useful & (self.fleet.efficiency @ price + self._cost < 0))

    def _mixed(self, mixture: Mixture) -> FloatArray:
        """The same mixture of the own past inputs, within the capacity because that is convex."""
        capacity = self.fleet.capacity_kw
        mixed = mixture.adopted * self.inputs_kw
        for kind, memory in self._memory.items():
            for number, answered in memory:
                if weight := mixture.weights.get((number, kind), 0.0):
                    mixed = mixed + weight * (answered * capacity if kind is Column.PLAIN else answered)
        return np.asarray(np.clip(mixed, 0.0, capacity))
