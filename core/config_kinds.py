"""The kinds of problems that ``gridlab solve`` solves, each with the type of its configuration file."""

from typing import TypeAlias

from core.config_dispatch import DispatchConfig
from core.config_hierarchy import HierarchyConfig
from core.errors import shown
from core.rules import BrokenRule

AnyProblem: TypeAlias = DispatchConfig | HierarchyConfig
KINDS: dict[str, type[AnyProblem]] = {"dispatch": DispatchConfig, "tree": HierarchyConfig}


def kind_of(document: object) -> type[AnyProblem] | BrokenRule:
    """The type of the file with this content, by its key ``kind``; a broken rule if there is none."""
    kind = document.get("kind") if isinstance(document, dict) else None
    if isinstance(kind, str) and kind in KINDS:
        return KINDS[kind]
    return BrokenRule("kind", shown(kind), f"one of {', '.join(KINDS)}; it is required")
