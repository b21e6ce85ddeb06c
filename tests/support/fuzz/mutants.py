"""Damaged documents: YAML by structure and by text, CSV by text; at random, from a seed."""

import random
from copy import deepcopy
from typing import Any

import yaml

from tests.support.fuzz.sense import HUGE

STRANGE: tuple[Any, ...] = (
    None, True, False, "", " ", "x", "Ω⚡", "a\nb", "a" * 5000, "400", "four", "0x10", "2018-02-30", "25:61", "../../x",
    "\u202e", 0, -1, -0.0, 1, 7, 2**31, 10**30, 10**400, 1e-300, 1e300, float("nan"), float("inf"), float("-inf"), 0.5,
    1.5, -400.0, [], {}, [[]], [None], [{}], {"a": {"b": [{"c": 1}]}}, {1: 2}, {None: 3}, {"forecast": None},
    {"constant": "x"}, {"file": 3},
)  # fmt: skip
KEYS: tuple[Any, ...] = ("x", "", "Name", "näme", 1, None, True, 2.5, "file", "constant", "kind", "forecast")
SNIPPETS = (
    "\t", "\0", "\ufeff", "\u2028", "- ", ": ", "#", "'", '"', "{", "}", "[", "]", "&a ", "*a", "<<: *a", "!!int ",
    "!!python/object:os.system ", "!!float ", "!!binary ", "!x ", "---\n", "...\n", "%YAML 1.2\n", "\n", "  ", ".nan",
    "-.inf", "1e999", "9" * 400, "~", "|", ">\n", "? ", "@", "`", "\x85",
)  # fmt: skip
CELLS = (
    "", " ", "nan", "inf", "-inf", "1e999", "1_0", "0x10", "1,5", "x", "-5", "1e9", "1e10", '"', "\0", "１２", "٣",
    "0.5", "1.01", "24:00", "23:60:00", "2018-06-21T10:00:00+99:00",
)  # fmt: skip
HOSTILE = {
    "shared lists": "\n".join(
        ["a0: &a0 [x]", *(f"a{k}: &a{k} [{', '.join(10 * [f'*a{k - 1}'])}]" for k in range(1, 12)), "prosumers: *a11"]
    ),
    "a list in itself": "prosumers: &a [*a, *a]\ngrid: &b {lines: *a, slack: *b}",
    "a section in itself": "&a {grid: *a, horizon: *a, prosumers: [*a, *a]}",
    "deep lists": 600 * "[",
    "deep sections": 1_000 * "{a: ",
    "a program": "name: !!python/object/apply:os.system [exit]",
    "two documents": "a: 1\n---\nb: 2",
    "no document": "",
    "a number": "5",
    "a long number": f"schema_version: {'9' * 5000}",
    "half a character": 'name: "\\ud800"\n"\\udfff": 1',
    "an unknown version": "%YAML 9.9\n---\na: 1",
    "a list as key": "? [1]\n: 2",
    "a number of no digits": 'name: !!float ""',
    "a character beyond all": 'name: "\\UFFFFFFFF"',
    "merges of merges": "\n".join(
        ["a0: &a0 {x: 1}", *(f"a{k}: &a{k} {{!!merge <<: [{', '.join(10 * [f'*a{k - 1}'])}]}}" for k in range(1, 12))]
    ),
}
"""Documents made to do harm."""


def altered(rng: random.Random, document: Any) -> Any:
    """A copy with one to three changes of its structure."""
    data = deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if places := _places(data):
            _change(rng, *rng.choice(places))
    return data


def as_yaml(data: Any) -> str:
    """The document as text, without aliases."""
    return yaml.dump(data, Dumper=_Plain, allow_unicode=True, sort_keys=False, width=1000)


def torn(rng: random.Random, text: str) -> bytes:
    """The text with bytes flipped, or pieces cut, doubled, moved or inserted."""
    data = bytearray(text.encode())
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(data) or 1)
        match rng.randrange(7):
            case 0 if data:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:]
            case 2:
                del data[at : at + rng.randrange(200)]
            case 3:
                data[at:at] = rng.choice(SNIPPETS).encode()
            case 4:
                data[at:at] = data[at : at + rng.randrange(300)]
            case 5:
                data[at:at] = rng.randbytes(rng.randrange(20))
            case _:
                _swap_lines(rng, data)
    return bytes(data)


def torn_table(rng: random.Random, text: str) -> bytes:
    """A table with cells replaced, or rows lost, doubled, moved or cut; sometimes damaged like any text."""
    if rng.random() < 0.2:
        return torn(rng, text)
    rows = [line.split(",") for line in text.splitlines()]
    for _ in range(rng.choice((1, 1, 2, 5))):
        row = rng.randrange(len(rows))
        match rng.randrange(6):
            case 0 | 1:
                rows[row][rng.randrange(len(rows[row]))] = rng.choice(CELLS)
            case 2:
                del rows[row]
            case 3:
                rows.insert(row, rows[rng.randrange(len(rows))])
            case 4:
                rows[row] = rows[row][:-1] or [""]
            case _:
                other = rng.randrange(len(rows))
                rows[row], rows[other] = rows[other], rows[row]
        rows = rows or [[""]]
    return "\n".join(map(",".join, rows)).encode()


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _places(data: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in the document."""
    found: list[tuple[Any, Any]] = []
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        found += [(data, key), *_places(value)]
    return found


def _change(rng: random.Random, holder: Any, key: Any) -> None:
    value = holder[key]
    match rng.randrange(7):
        case 0:
            del holder[key]
        case 1 | 2:
            holder[key] = deepcopy(rng.choice(STRANGE))
        case 3 if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < HUGE:
            holder[key] = value * rng.choice((-1, 0, 1000, 1e-6, 1.001))
        case 4 if isinstance(holder, dict):
            holder[rng.choice(KEYS)] = holder.pop(key)
        case 5 if isinstance(holder, list):
            holder.append(deepcopy(value))
        case 5:
            holder[rng.choice(KEYS)] = deepcopy(rng.choice(STRANGE))
        case _:
            other = rng.choice(list(holder.keys()) if isinstance(holder, dict) else range(len(holder)))
            holder[key], holder[other] = holder[other], holder[key]


def _swap_lines(rng: random.Random, data: bytearray) -> None:
    lines = bytes(data).split(b"\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    data[:] = b"\n".join(lines)
