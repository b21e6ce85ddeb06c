"""YAML with the core schema of YAML 1.2; PyYAML alone applies the surprising rules of YAML 1.1.

``1e-3`` is a number; ``23:00``, ``off`` and ``2018-06-21`` are text. A duplicate key is a fault, and so is any tag
beyond the plain types. A merge key (``<<``) takes over the keys of other mappings that are not given.
"""

import re

import yaml

from core.errors import Fault, shown

_SCALARS = (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]{1,18}|0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}", [*"-+0123456789"]),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", [*"-+."]),
)
_TAG = "tag:yaml.org,2002:"
_TAGS = [_TAG + name for name in ("map", "seq", "str", "null", "bool", "float")]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2; ``repeated``: (line, key) of each duplicate key."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.repeated: list[tuple[int, str]] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        """The mapping, with the last value of a duplicate key, and behind its own keys those that it merges."""
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                self.repeated.append((key.start_mark.line + 1, key.value))
            seen.add(key.value)
        merged = [value for key, value in node.value if _is_merge(key)]
        if not merged:
            return super().construct_mapping(node, deep)
        own = [(key, value) for key, value in node.value if not _is_merge(key)]
        plain = yaml.MappingNode(node.tag, own, node.start_mark, node.end_mark)
        mapping = super().construct_mapping(plain, deep)
        for value in merged:
            for other in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                mapping = self._keys_of(other) | mapping
        return mapping

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave merge keys to ``construct_mapping``: lists of nodes multiply, mappings do not."""

    def _keys_of(self, node: yaml.Node) -> dict[object, object]:
        """The mapping that is merged."""
        if not isinstance(node, yaml.MappingNode):
            allowed = "`<<` needs a section, or a list of sections"
            raise yaml.constructor.ConstructorError(None, None, allowed, node.start_mark)
        return dict(self.construct_object(node, deep=True))

    def construct_whole(self, node: yaml.ScalarNode) -> int:
        """An integer: decimal (leading zeros are ignored), 0o octal or 0x hexadecimal."""
        text = self.construct_scalar(node)
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)


def _is_merge(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and (key.tag == f"{_TAG}merge" or (key.value == "<<" and not key.style))


_Loader.yaml_implicit_resolvers = {}
_Loader.yaml_constructors = {tag: _Loader.yaml_constructors[tag] for tag in (*_TAGS, None)}
for _name, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), _first)
_Loader.add_constructor(_TAG + "int", _Loader.construct_whole)


class _Dumper(yaml.SafeDumper):
    """Quotes what the loader would not read as text."""


_Dumper.yaml_implicit_resolvers = dict(_Loader.yaml_implicit_resolvers)
_Dumper.add_implicit_resolver(_TAG + "merge", re.compile("^<<$"), ["<"])


def yaml_text(document: object) -> str:
    """The text of a document, which :func:`parse_yaml` reads as it was; short lists and sections are on one line."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=4000)


def parse_yaml(text: str, file: str) -> tuple[object, list[Fault]]:
    """The document as dict, list, str, int, float, bool or None, and its faults; ``file`` is its name in faults."""
    try:
        loader = _Loader(text)
        data = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return None, [Fault(file, f"line {line}", error.problem or "a syntax error", "a YAML document")]
    except (yaml.YAMLError, ValueError, LookupError, OverflowError, RecursionError) as error:
        return None, [Fault(file, "", shown(str(error)), "a YAML document of text, numbers, lists and sections")]
    repeated = [(f"line {line}", f"the key {shown(key)} again") for line, key in loader.repeated]
    return data, [Fault(file, line, got, "each key once") for line, got in repeated]
