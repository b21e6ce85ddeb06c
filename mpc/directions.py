"""One direction per step, where the relaxation of a program uses two variables that exclude each other.

A battery of efficiency η cannot charge and discharge at once, but its linear program can, and does so where the
marginal price is ≤ 0: it is then paid for wasting energy. There are two ways to a sound plan, neither
the best in general:

- **net**: keep the direction in which the relaxation moves the state of charge. Its trajectory stays feasible.
- **alternating**: charge in some steps and discharge in others, with the relaxation's shares of both over time (error
  diffusion), as a battery that is paid for its losses does.

The program is solved again with the other direction closed, for both ways. The cheapest of the two and of the
relaxation's own solution without what it wastes, which keeps its trajectory, is the answer; the last one counts if its
larger discharge is within capability and rating.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, FloatArray
from mpc.resources.block import Variable

AT_ONCE_REL = 1e-4
"""Two variables count as used at once from this share of the first one's bound on."""


@dataclass(frozen=True)
class Pair:
    """Columns of two variables that exclude each other; ``weight`` is that of a unit of the first against the other.

    ``bound`` is the largest value of either.
    """

    one: int
    other: int
    weight: float
    bound: float

    def mixed(self, y: FloatArray, tolerance: float = AT_ONCE_REL) -> BoolArray:
        """Steps in which both are used, [T], in decisions y [T, variables]."""
        return np.asarray(np.minimum(y[:, self.one], y[:, self.other]) > tolerance * self.bound)


Way = Callable[[FloatArray, Pair, BoolArray], BoolArray]
"""Whether each step keeps the other variable of a pair, [T]; it matters in the mixed steps only."""


def net(y: FloatArray, pair: Pair, _mixed: BoolArray) -> BoolArray:
    """Keep the variable that outweighs the other."""
    return np.asarray(y[:, pair.other] > pair.weight * y[:, pair.one])


def alternating(y: FloatArray, pair: Pair, mixed: BoolArray) -> BoolArray:
    """Keep the variable of which more is owed, as if each step took a full one."""
    owed_one = owed_other = 0.0
    keeps_other = np.zeros(len(y), bool)
    for t in np.flatnonzero(mixed):
        owed_one, owed_other = owed_one + pair.weight * y[t, pair.one], owed_other + y[t, pair.other]
        keeps_other[t] = owed_other > owed_one
        if keeps_other[t]:
            owed_other -= pair.bound
        else:
            owed_one -= pair.weight * pair.bound
    return keeps_other


def rounded(y: FloatArray, among: Sequence[Pair]) -> FloatArray:
    """Decisions with the same trajectory that use one variable of each pair."""
    found = y.copy()
    for pair in among:
        one, other = y[:, pair.one], y[:, pair.other]
        found[:, pair.one] = np.maximum(one - other / pair.weight, 0)
        found[:, pair.other] = np.maximum(other - pair.weight * one, 0)
    return found


def pairs(variables: Mapping[str, Variable]) -> list[Pair]:
    """The pairs among the variables of a program, whose names are ``resource.variable``."""
    names, found = list(variables), []
    for name, variable in variables.items():
        if variable.excludes:
            other = f"{name.rpartition('.')[0]}.{variable.excludes.other}"
            bound = float(np.max(variable.upper))
            found.append(Pair(names.index(name), names.index(other), variable.excludes.weight, bound))
    return found


def closed(y: FloatArray, among: Sequence[Pair], way: Way, tolerance: float = AT_ONCE_REL) -> BoolArray:
    """The variables to close in the steps that mix, [T, variables]."""
    found = np.zeros(y.shape, bool)
    for pair in among:
        mixed = pair.mixed(y, tolerance)
        keeps_other = way(y, pair, mixed)
        found[:, pair.one], found[:, pair.other] = mixed & keeps_other, mixed & ~keeps_other
    return found
