"""The source tree as data: modules, imports, names and lengths. Files are parsed, not imported."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

TESTS, BENCHMARKS = "tests", "benchmarks"
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_FENCE = re.compile(r"^\s*(```|~~~)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Name:
    """An identifier: ``kind`` is module, class, function or parameter; ``file`` is relative to the root."""

    kind: str
    text: str
    file: str

    @property
    def words(self) -> frozenset[str]:
        """Words of the identifier in lower case: ``p_kw`` has two, ``ReadBack`` has two."""
        return frozenset(word.lower() for word in _WORDS.findall(self.text))

    def __str__(self) -> str:
        return f"{self.file}: {self.kind} {self.text}"


@dataclass(frozen=True)
class Module:
    """A Python file: its dotted name without ``__init__``, and its source."""

    name: str
    file: str
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.source, self.file)

    @property
    def lines(self) -> int:
        """Number of lines."""
        return self.source.count("\n")

    @property
    def functions(self) -> Iterator[tuple[str, int]]:
        """Name and lines of every function, from ``def`` to its last line."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1

    @property
    def imported(self) -> Iterator[str]:
        """Dotted names that are imported anywhere, within functions too; ``a.b.c`` for ``from a.b import c``.

        Raises:
            ValueError: an import is relative.
        """
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                if node.level or node.module is None:
                    raise ValueError(f"{self.file}:{node.lineno}: a relative import")
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    @property
    def names(self) -> Iterator[Name]:
        """The module's own name, and those of its classes, functions and parameters."""
        yield Name("module", self.name.rpartition(".")[2], self.file)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef):
                yield Name("class", node.name, self.file)
            elif isinstance(node, Function):
                yield Name("function", node.name, self.file)
            elif isinstance(node, ast.arg):
                yield Name("parameter", node.arg, self.file)


def packages(root: Path) -> tuple[str, ...]:
    """Folders at the top of the tree with Python in them."""
    folders = (path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith((".", "_")))
    return tuple(folder.name for folder in folders if any(folder.rglob("*.py")))


def modules(root: Path, names: Iterable[str]) -> tuple[Module, ...]:
    """All modules of the folders with these names."""
    files = (file for name in names for file in sorted((root / name).rglob("*.py")))
    return tuple(_module(root, file) for file in files)


def imports(among: Sequence[Module]) -> Mapping[str, frozenset[str]]:
    """Which modules a module imports, of those given: the module named, or the one that defines the name."""
    known = {module.name for module in among}
    return {
        module.name: frozenset(found for name in module.imported if (found := _nearest(name, known)) is not None)
        for module in among
    }


def against(order: Sequence[Sequence[str]], imported: Mapping[str, frozenset[str]]) -> list[str]:
    """Imports of a package on a higher floor, or of a neighbour on the same one, as ``importer → imported``.

    Args:
        order: packages by floor, the highest first; those that ``imported`` does not know may be missing.
    """
    floors = {name: floor for floor, row in enumerate(order) for name in row}
    return [
        f"{importer} → {target}"
        for importer, targets in sorted(imported.items())
        for target in sorted(targets)
        if (here := _top(importer)) != (there := _top(target))
        and here in floors
        and there in floors
        and floors[here] >= floors[there]
    ]


def cycles(imported: Mapping[str, frozenset[str]]) -> list[tuple[str, ...]]:
    """Import cycles between the parts of every package, and between the packages at the top.

    Parts are its modules and packages; a package's own ``__init__`` is a part too, under the package's name.
    """
    found = []
    for container in sorted({parent for name in imported for parent in _parents(name)}):
        found += _cycles(_between_parts(container, imported))
    return found


def repeated_classes(among: Iterable[Module]) -> Mapping[str, list[str]]:
    """Names of classes that several files define, and those files."""
    places = [name for module in among for name in module.names if name.kind == "class"]
    counted = Counter(name.text for name in places)
    return {text: [p.file for p in places if p.text == text] for text, times in sorted(counted.items()) if times > 1}


def headings(markdown: str) -> list[str]:
    """Headings of a page, without those within code."""
    return [line.lstrip("# ") for line in prose(markdown) if re.match(r"#{1,6} ", line)]


def prose(markdown: str) -> list[str]:
    """Lines of a page outside code blocks and tables."""
    lines, fenced = [], False
    for line in markdown.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and not line.lstrip().startswith("|"):
            lines.append(line)
    return lines


def _module(root: Path, file: Path) -> Module:
    relative = file.relative_to(root)
    parts = relative.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(name, str(relative), file.read_text(encoding="utf-8"))


def _nearest(name: str, known: set[str]) -> str | None:
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


def _top(name: str) -> str:
    return name.partition(".")[0]


def _parents(name: str) -> list[str]:
    """The packages that a module lies in, the tree itself (the empty name) among them."""
    parts = name.split(".")
    return [".".join(parts[:k]) for k in range(len(parts))]


def _part(container: str, name: str) -> str | None:
    """The part of the container that a module belongs to; None outside."""
    if name == container:
        return name
    prefix = f"{container}." if container else ""
    return prefix + name.removeprefix(prefix).partition(".")[0] if name.startswith(prefix) else None


def _between_parts(container: str, imported: Mapping[str, frozenset[str]]) -> Mapping[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for importer, targets in imported.items():
        if (here := _part(container, importer)) is not None:
            there = {part for target in targets if (part := _part(container, target)) is not None}
            graph.setdefault(here, set()).update(there - {here})
    return graph


def _cycles(graph: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """Sets of nodes that reach each other."""
    reached = {node: _reached(node, graph) for node in graph}
    groups = {tuple(sorted(b for b in reached[a] if a in reached.get(b, ()))) for a in graph if a in reached[a]}
    return sorted(groups)


def _reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += graph.get(node, ())
    return seen
