"""All faults of a configuration at once: first those of single keys, then rules on all valid keys.

pydantic stops at a faulty key; here its section is kept without it, so that the rules that compare keys and sections
(:mod:`core.config_rules`) still check the rest.
"""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from core.config import Config
from core.config_fields import NOT_IN_NAMES, Name, Section
from core.config_rules import broken_rules
from core.errors import Fault, shown
from core.rules import BrokenRule, FileExists

S = TypeVar("S", bound=Section)


def check_config(data: object, file: str, exists: FileExists) -> tuple[Config | None, list[Fault]]:
    """The configuration in ``data`` or None, and its faults; ``file`` is their file name.

    Args:
        data: what a YAML parser returned.
        exists: whether a path of the configuration is an existing file.
    """
    return check_document(Config, data, file, lambda config: broken_rules(config, exists))


def check_document(
    model: type[S], data: object, file: str, rules: Callable[[S], Iterable[BrokenRule]]
) -> tuple[S | None, list[Fault]]:
    """The document in ``data`` as ``model`` or None, and its faults; ``rules`` get what is valid of it."""
    reading = _FileCheck(file)
    partial = cast(S, reading.section(model, data, ""))
    reading.faults += [Fault(file, rule.key, rule.got, rule.allowed) for rule in rules(partial)]
    return (None if reading.faults else model.model_validate(data)), reading.faults


class _FileCheck:
    """Collects the faults of one file; ``key`` is the path of a value, such as ``prosumers[0].battery``."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []

    def section(self, model: type[Section], data: object, key: str) -> Section:
        """The section without its faulty keys, which are no attributes of it."""
        if not isinstance(data, dict):
            self._fault(key, shown(data), _keys_text(model))
            return _partial(model, {})
        fields = _fields(model)
        for name in data:
            if name not in fields:
                self._fault(_join(key, name), "an unknown key", _closest(str(name), model))
        values: dict[str, object] = {}
        for name, (attribute, field) in fields.items():
            if name in data:
                values |= self._value(model, attribute, data[name], _join(key, name))
            elif field.is_required():
                self._fault(_join(key, name), "nothing", f"{_allowed(field)}; it is required")
            else:
                values[attribute] = field.get_default()
        return _partial(model, values)

    def _value(self, model: type[Section], attribute: str, data: object, key: str) -> dict[str, object]:
        """The value as {attribute: value}, or {} if it is faulty."""
        field = model.model_fields[attribute]
        sections = _sections(field.annotation)
        if isinstance(data, list) and (of_items := _sections_of_items(field.annotation)):
            items = enumerate(data)
            return {attribute: tuple(self.section(_fitting(of_items, x), x, f"{key}[{k}]") for k, x in items)}
        if isinstance(data, dict) and (of_values := _type_of_values(field.annotation)) is not None:
            return self._mapping(attribute, of_values, field, data, key)
        if isinstance(data, dict) and sections and get_origin(field.annotation) is not tuple:
            return {attribute: self.section(_fitting(sections, data), data, key)}
        try:
            return {attribute: _adapter(model, attribute).validate_python(data)}
        except ValidationError as error:
            for where, value in _faulty_items(data, error) or [("", data)]:
                self._fault(key + where, shown(value), _allowed(field) + _as_text(data, _adapter(model, attribute)))
            return {}

    def _mapping(
        self, attribute: str, value_type: object, field: FieldInfo, data: dict[object, object], key: str
    ) -> dict[str, object]:
        """A section with names of the user's own as {attribute: {name: value}}, or {} if a value is faulty."""
        sections, values, before = _sections(value_type), dict[str, object](), len(self.faults)
        adapter: TypeAdapter[Any] = TypeAdapter(Mapping[Name, value_type])  # type: ignore[valid-type]
        for name, value in data.items():
            if isinstance(value, dict) and sections:
                values[str(name)] = self.section(_fitting(sections, value), value, _join(key, name))
                continue
            try:
                values |= adapter.validate_python({name: value})
            except ValidationError:
                self._fault(_join(key, name), shown(value), _allowed(field))
        return {} if len(self.faults) > before else {attribute: values}

    def _fault(self, key: str, got: str, allowed: str) -> None:
        self.faults.append(Fault(self.file, key, got, allowed))


def _faulty_items(data: object, error: ValidationError) -> list[tuple[str, object]]:
    """Place and value of each faulty item of a list; none if it is the list itself that is faulty."""
    if not isinstance(data, list):
        return []
    places = dict.fromkeys(each["loc"][0] for each in error.errors(include_url=False) if each["loc"])
    return [(f"[{k}]", data[k]) for k in places if isinstance(k, int)]


def _partial(model: type[Section], values: dict[str, object]) -> Section:
    section = model.model_construct()
    section.__dict__.clear()
    section.__dict__.update(values)
    return section


def _join(path: str, name: object) -> str:
    text = name if isinstance(name, str) and name.isprintable() else shown(name)
    return f"{path}.{text}" if path else text


def _as_text(data: object, adapter: TypeAdapter[Any]) -> str:
    """What to write, where ``data`` would be valid as text in quotes, or as a name without its spaces; else nothing."""
    match data:
        case bool() | int() | float():
            text, advice = shown(data), "; put it in quotes: without, YAML reads a number or a truth value"
        case str():
            text = NOT_IN_NAMES.sub("_", data)
            advice = f", such as {text}"
        case _:
            return ""
    try:
        adapter.validate_python(text)
    except ValidationError:
        return ""
    return advice


@cache
def _fields(model: type[Section]) -> dict[object, tuple[str, FieldInfo]]:
    """Key in the file → (attribute, field)."""
    return {field.alias or name: (name, field) for name, field in model.model_fields.items()}


@cache
def _adapter(model: type[Section], attribute: str) -> TypeAdapter[Any]:
    field = model.model_fields[attribute]
    annotation: Any = Annotated[(field.annotation, attribute, *field.metadata)]
    return TypeAdapter(annotation)


def _sections(annotation: object) -> list[type[Section]]:
    """The sections that a type allows."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections(part)]


def _sections_of_items(annotation: object) -> list[type[Section]]:
    """The sections that a type allows in a list."""
    if get_origin(annotation) is tuple:
        return _sections(annotation)
    return [section for part in get_args(annotation) for section in _sections_of_items(part)]


def _type_of_values(annotation: object) -> object | None:
    """The type of the values of a mapping; None of any other type."""
    return get_args(annotation)[1] if get_origin(annotation) is Mapping else None


def _fitting(sections: list[type[Section]], data: object) -> type[Section]:
    """The section that ``data`` means: the one with its ``kind``, else the one that shares most keys with it."""
    if not isinstance(data, dict):
        return sections[0]

    def fit(section: type[Section]) -> tuple[bool, int]:
        kind = section.model_fields.get("kind")
        return bool(kind and data.get("kind") in get_args(kind.annotation)), len(data.keys() & _fields(section).keys())

    return max(sections, key=fit)


def _allowed(field: FieldInfo) -> str:
    """The description of the allowed values, from the type."""
    parts = (field, *(note for part in get_args(field.annotation) for note in getattr(part, "__metadata__", ())))
    words = [part.description for part in parts if isinstance(part, FieldInfo) and part.description]
    if words:
        return words[0] if field.description else words[-1]
    return _keys_text(_sections(field.annotation)[0])


def _keys_text(model: type[Section]) -> str:
    return f"a section with the keys {', '.join(map(str, _fields(model)))}"


def _closest(name: str, model: type[Section]) -> str:
    close = get_close_matches(name, map(str, _fields(model)), 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"the keys {', '.join(map(str, _fields(model)))}{hint}"
