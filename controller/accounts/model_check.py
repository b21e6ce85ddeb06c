"""Deviation of the grid model's voltages from measured ones, computed by :mod:`controller.accounts.grid_check`."""

from dataclasses import dataclass

WARNING_PU = 0.01
"""A worst error above this deserves a warning before the mode ACTIVE."""


@dataclass(frozen=True)
class ModelCheck:
    """Errors ||V| − |V| measured| (p.u.) over ``samples`` voltages: their mean, and the worst with its node."""

    mean_pu: float
    worst_pu: float
    worst_node: str
    samples: int

    @property
    def doubtful(self) -> bool:
        """Whether the operator should be warned."""
        return self.worst_pu > WARNING_PU
