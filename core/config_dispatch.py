"""The kind ``dispatch`` of ``gridlab solve``: many resources follow one weighted target over several sectors."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from core.algorithms import DispatchAlgorithm
from core.config_common_rules import repeated
from core.config_fields import Name, NotNegative, Number, Section
from core.config_problem import ProblemConfig
from core.rules import BrokenRule, known

Numbers = Annotated[tuple[Number, ...], Field(description="a list with a number for each sector")]

INPUT = "input"


class DispatchResourceConfig(Section):
    """A resource that turns an input from 0 to ``capacity_kw`` into outputs over the sectors.

    ``efficiency``: output per kW of input, negative where the resource draws from a sector. ``priority``: own cost per
    kW of output; a positive one is penalised. ``fallback_kw``: the input that is assumed while it was never heard.
    """

    name: Name
    capacity_kw: Annotated[NotNegative, Field(description="a number ≥ 0 kW")]
    efficiency: Numbers
    priority: Numbers | None = None
    fallback_kw: Annotated[NotNegative, Field(description="a number ≥ 0 kW")] = 0.0


class DispatchConfig(ProblemConfig):
    """The whole file; ``target_kw`` and ``weights`` have an entry for each of ``sectors``."""

    ALGORITHMS: ClassVar[type[StrEnum]] = DispatchAlgorithm

    kind: Annotated[Literal["dispatch"], Field(description="dispatch")]
    sectors: Annotated[tuple[Name, ...], Field(min_length=1, description="a list of names, at least one")]
    target_kw: Numbers
    weights: Annotated[tuple[NotNegative, ...], Field(description="a list with a number ≥ 0 for each sector")]
    norm: Annotated[Literal["l1", "l2"], Field(description="l1 or l2")] = "l1"
    resources: Annotated[
        tuple[DispatchResourceConfig, ...],
        Field(description="a list of resources {name, capacity_kw, efficiency, priority, fallback_kw}"),
    ]

    def broken_rules(self) -> Iterable[BrokenRule]:
        """Lengths, names, and fallbacks within capacities."""
        if known(self, "sectors"):
            for k, name in enumerate(self.sectors):
                if name in self.sectors[:k]:
                    yield BrokenRule(f"sectors[{k}]", name, "each name of a sector once")
            if INPUT in self.sectors:
                allowed = f"another name: {INPUT}_kw is the column of the inputs"
                yield BrokenRule(f"sectors[{self.sectors.index(INPUT)}]", INPUT, allowed)
            yield from _wrong_lengths(self, "", len(self.sectors), "target_kw", "weights")
        if known(self, "resources"):
            if not self.resources:
                yield BrokenRule("resources", "an empty list", "at least one resource")
            yield from repeated("resources", "name", self.resources)
            for k, each in enumerate(self.resources):
                yield from self._broken_by(each, f"resources[{k}]")

    def _broken_by(self, each: DispatchResourceConfig, key: str) -> Iterator[BrokenRule]:
        if known(self, "sectors"):
            yield from _wrong_lengths(each, f"{key}.", len(self.sectors), "efficiency", "priority")
        if known(each, "capacity_kw", "fallback_kw") and each.fallback_kw > each.capacity_kw:
            allowed = f"at most its capacity of {each.capacity_kw:g} kW"
            yield BrokenRule(f"{key}.fallback_kw", f"{each.fallback_kw:g} kW", allowed)


def _wrong_lengths(section: Section, key: str, sectors: int, *names: str) -> Iterator[BrokenRule]:
    for name in names:
        numbers = getattr(section, name, None)
        if numbers is not None and len(numbers) != sectors:
            yield BrokenRule(f"{key}{name}", f"{len(numbers)} numbers", f"{sectors}, one for each sector")
