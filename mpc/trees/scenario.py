"""A tree of aggregators together with all private sites."""

from dataclasses import dataclass

from core.hierarchy import TreeProblem
from core.scenario import Site
from mpc.prosumer import ProsumerProgram
from mpc.solvers.quadratic import PIQP


@dataclass(frozen=True)
class TreeScenario:
    """The problem that aggregators know, and a site for each leaf, in the order of the hierarchy."""

    problem: TreeProblem
    sites: tuple[Site, ...]

    def participants(self, solver: str = PIQP) -> list[ProsumerProgram]:
        """The programs of all prosumers, for an owner of all sites."""
        problem = self.problem
        return [ProsumerProgram(site, problem.tariff, problem.axis.dt_h, solver) for site in self.sites]
