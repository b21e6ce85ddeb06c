"""Configurations: read from a file, and varied for sweeps."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Generic, NoReturn

from core.config import Config
from core.config_fields import Document
from core.config_problem import ProblemConfig
from core.errors import Fault, InputError, shown
from core.load import document_of, load_config, load_document, load_problem

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Values = TypeVar("Values", bound=Document, default=Config)
else:
    from typing import TypeVar

    Values = TypeVar("Values")


@dataclass(frozen=True, repr=False)
class Configuration(Generic[Values]):
    """A valid configuration: that of a day, or a problem of ``gridlab solve``.

    Attributes:
        path: the file it was read from; paths in it are relative to that file.
        values: every value, by section: ``config.values.limits.v_max_pu``.
        changed: whether ``values`` differ from the file.
    """

    path: Path
    values: Values
    changed: bool = False

    def with_(self, **changes: object) -> "Configuration[Values]":
        """A configuration with other values: ``config.with_(limits={"v_max_pu": 1.04})``.

        A mapping changes the keys that it names and leaves the others. None removes a key, so that its default holds.
        Anything else replaces the old value. This is JSON Merge Patch (RFC 7386), with one addition: in a list of named
        sections a mapping changes those that it names, as in ``prosumers={"N3": {"battery": {"energy_kwh": 10}}}``.

        Raises:
            InputError: the result is not valid; each fault is a line, as for a file.
        """
        document = _patched(self.values.document(), changes, str(self.path), "")
        return Configuration(self.path, self._checked(document, self.path), changed=True)

    @contextmanager
    def written(self, file: Path | None = None) -> Iterator["Configuration[Values]"]:
        """The configuration with a file of this content: its own, or if it was changed, a new one.

        Args:
            file: the new file, which is kept; None: a temporary one, deleted when the block ends.

        Raises:
            InputError: ``file`` exists or cannot be written.
        """
        if not self.changed:
            yield self
        elif file is None:
            with TemporaryDirectory(prefix="gridlab-") as folder:
                yield self._write(Path(folder) / "configuration.yaml")
        else:
            written = self._write(file)
            try:
                yield written
            except BaseException:
                file.unlink()
                raise

    def _write(self, file: Path) -> "Configuration[Values]":
        """Write the configuration as JSON, which is also YAML."""
        document = self.values.document(self.path.parent)
        text = json.dumps(document, indent=2, ensure_ascii=False)
        try:
            with file.open("x", encoding="utf-8") as stream:
                stream.write(f"{text}\n")
        except OSError as error:
            allowed = f"a place for the changed configuration ({error.strerror})"
            raise InputError([Fault("out", "", str(file), allowed)]) from error
        return Configuration(file, self._checked(document, file))

    def _checked(self, document: object, path: Path) -> Values:
        """The document as a file of the same sort.

        Raises:
            InputError: it is not valid.
        """
        values = document_of(document, path)
        assert isinstance(values, type(self.values)), "the key `kind` has not changed"
        return values

    def __repr__(self) -> str:
        return f"<Configuration {self.values.name} of {self.path}{', changed' if self.changed else ''}>"


def load(path: str | Path) -> Configuration[Any]:
    """Read a configuration, of a day or with a ``kind``; every field and rule is checked.

    Raises:
        InputError: with all faults of the file, a line each.
    """
    return Configuration(Path(path), load_document(Path(path)))


def day(config: Configuration | str | Path) -> Configuration:
    """The configuration of a day itself, or that of a path.

    Raises:
        InputError: with all faults of the file, or it is a problem with a ``kind``.
    """
    if not isinstance(config, Configuration):
        return Configuration(Path(config), load_config(Path(config)))
    return config if isinstance(config.values, Config) else _refused(config, "the configuration of a day")


def problem(config: Configuration[Any] | str | Path) -> Configuration[Any]:
    """The problem with a ``kind`` itself, or that of a path.

    Raises:
        InputError: with all faults of the file, or it is the configuration of a day.
    """
    if not isinstance(config, Configuration):
        return Configuration(Path(config), load_problem(Path(config)))
    return config if isinstance(config.values, ProblemConfig) else _refused(config, "a problem, for `gridlab.solve`")


def _refused(config: Configuration[Any], allowed: str) -> NoReturn:
    raise InputError([Fault(str(config.path), "kind", shown(getattr(config.values, "kind", None)), allowed)])


def _patched(value: object, change: object, file: str, key: str) -> object:
    """The value after a change; ``file`` and ``key`` name it in faults."""
    if not isinstance(change, Mapping):
        return _plain(change)
    if isinstance(value, list):
        return _patched_list(value, change, file, key)
    sections = dict(value) if isinstance(value, Mapping) else {}
    for name, part in change.items():
        if part is None:
            sections.pop(name, None)
        else:
            sections[name] = _patched(sections.get(name), part, file, f"{key}.{name}" if key else str(name))
    return sections


def _patched_list(items: list[Any], change: Mapping[Any, object], file: str, key: str) -> list[object]:
    names = [item.get("name") if isinstance(item, Mapping) else None for item in items]
    known = ", ".join(str(name) for name in names if name is not None)
    if unknown := [name for name in change if name is None or name not in names]:
        allowed = f"names of the list: {known}" if known else "a list; its items have no names"
        raise InputError([Fault(file, f"{key}.{name}", shown(str(name)), allowed) for name in unknown])
    return [
        _patched(item, change[name], file, f"{key}.{name}") if name in change else item
        for name, item in zip(names, items, strict=True)
        if name not in change or change[name] is not None
    ]


def _plain(value: object) -> object:
    """The value as from a file: numbers of numpy as numbers, tuples as lists, paths as text."""
    if isinstance(value, list | tuple):
        return [_patched(None, item, "", "") for item in value]
    if isinstance(value, Path):
        return str(value)
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "ndim", None) == 0 else value
