"""What coordinator and resources say to each other: a few numbers per sector, whatever the number of resources."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from core.arrays import FloatArray


class Column(IntEnum):
    """The two answers of a round."""

    PRICED = 0
    PLAIN = 1


MEMORY = {Column.PRICED: 30, Column.PLAIN: 150}
"""So many answers of each kind are remembered, by the coordinator and by every resource."""


@dataclass(frozen=True)
class Mixture:
    """Weights of past answers, which with that of the adopted inputs add up to 1.

    Attributes:
        weights: by round and kind of answer, ≥ 0.
        adopted: weight of what was adopted before.
    """

    weights: Mapping[tuple[int, Column], float]
    adopted: float = 0.0

    def with_adopted(self, other: "Mixture") -> "Mixture":
        """The same mixture if what is adopted is ``other``, which nobody has adopted yet."""
        weights = dict(self.weights)
        for key, weight in other.weights.items():
            weights[key] = weights.get(key, 0.0) + self.adopted * weight
        return Mixture(weights, self.adopted * other.adopted)


@dataclass(frozen=True)
class DispatchSignal:
    """A question to every resource, the same for all.

    Attributes:
        round: its number.
        rho: penalty ρ per kW²; 0 asks for the plain answer alone.
        relaxation: α.
        pull: λ − ρ b, the price less what all copies have in common, per kW, [M].
        price: price of the plain question, per kW, [M].
        adopt: the mixture that is the best result so far, if it is new.
    """

    round: int
    rho: float
    relaxation: float
    pull: FloatArray
    price: FloatArray
    adopt: Mixture | None = None


@dataclass(frozen=True)
class DispatchAnswer:
    """The answers of one resource or the sums over a fleet, in kW per sector.

    Attributes:
        count: resources that have an output at all.
        swing_square: Σ ‖η‖² capacity², the square of what they can move.
        output, cost: Σ x, [M], and Σ S'x of the priced question.
        relaxed: Σ η a of the relaxed inputs, [M].
        plain_output, plain_cost: the same of the plain question: price'output + cost is the share of the bound.
    """

    count: int
    swing_square: float
    output: FloatArray
    cost: float
    relaxed: FloatArray
    plain_output: FloatArray
    plain_cost: float

    def __add__(self, other: "DispatchAnswer") -> "DispatchAnswer":
        """The sum over both."""
        return DispatchAnswer(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    @classmethod
    def of_nobody(cls, sectors: int) -> "DispatchAnswer":
        """The sum over nothing."""
        none = np.zeros(sectors)
        return cls(0, 0.0, none, 0.0, none, none, 0.0)
