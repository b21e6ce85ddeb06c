"""Register maps: their faults, their codec, their requests."""

from collections.abc import Callable
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from core.errors import InputError
from drivers.converters.generic_modbus import READABLE, WRITABLE
from drivers.registers import Register, RegisterMap, RegisterRangeError, load_registers
from tests.support.paths import REGISTERS

TYPES = ("int16", "uint16", "int32", "uint32", "uint64", "float32")
Save = Callable[[Any], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def saved(data: Any) -> Path:
        path = tmp_path / "map.yaml"
        path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
        return path

    return saved


def one(**keys: Any) -> dict[str, Any]:
    register = {"name": "p_kw", "address": 0, "type": "int16", **keys}
    return {"schema_version": 1, "name": "m", "registers": [{k: v for k, v in register.items() if v is not ...}]}


def two(**keys: Any) -> dict[str, Any]:
    data = one(type="float32")
    data["registers"].append({"name": "q_kvar", "address": 2, "type": "int16", **keys})
    return data


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        ("[", {"line 1": ["YAML"]}),
        ([], {"": ["a list", "schema_version"]}),
        ({"schema_version": 1, "name": "m"}, {"registers": ["nothing", "required"]}),
        ({**one(), "regsters": 1}, {"regsters": ["unknown", "registers"]}),
        ({**one(), "schema_version": 2}, {"schema_version": ["2", "1"]}),
        ({**one(), "registers": [3]}, {"registers[0]": ["3", "name"]}),
        ({**one(), "registers": []}, {"registers": ["list"]}),
        (one(address=-1), {"registers[0].address": ["-1", "65535"]}),
        (one(address=65535, type="float32"), {"registers[0].address": ["65535", "65534"]}),
        (one(type="int8"), {"registers[0].type": ['"int8"', "float32"]}),
        (one(type=...), {"registers[0].type": ["nothing", "required"]}),
        (one(typ="int16"), {"registers[0].typ": ["unknown", "type"]}),
        (one(scale=0), {"registers[0].scale": ["0"]}),
        (one(access="w"), {"registers[0].access": ['"w"', "rw"]}),
        (one(sentinel=65536), {"registers[0].sentinel": ["65536", "16 bit"]}),
        (one(sentinel="nan"), {"registers[0].sentinel": ["nan", "int16"]}),
        (one(sentinel="none"), {"registers[0].sentinel": ["none"]}),
        (one(sentinel=0.5), {"registers[0].sentinel": ["0.5", "whole"]}),
        (one(min=2, max=1), {"registers[0].min": ["2", "1"]}),
        (one(scale="x", address="y"), {"registers[0].scale": ["x"], "registers[0].address": ["y"]}),
        (two(address=1), {"registers[1].address": ["1", "at least 2", "p_kw"]}),
        (two(name="p_kw"), {"registers[1].name": ["p_kw", "registers[0]"]}),
        (two(word_order="middle"), {"registers[1].word_order": ["middle", "little"]}),
    ],
)
def test_faulty_maps(save: Save, data: Any, faults: dict[str, list[str]]) -> None:
    path = save(data)
    with pytest.raises(InputError) as caught:
        load_registers(path)
    found = {fault.key: str(fault) for fault in caught.value.faults}
    assert found.keys() == faults.keys()
    for key, words in faults.items():
        assert found[key].startswith(str(path))
        assert all(word in found[key] for word in words), found[key]


@pytest.mark.parametrize("path", sorted(REGISTERS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_maps(path: Path) -> None:
    registers = load_registers(path)
    assert registers.name == path.stem
    assert len(registers.blocks(registers.by_name)) == 1, "one request reads it all"


def test_map_lacks_what_a_device_needs(save: Save) -> None:
    path = save(two())
    with pytest.raises(InputError) as caught:
        load_registers(path).require(path, ["p_kw", "v_v"], ["q_kvar"])
    assert [str(fault).removeprefix(f"{path}: ") for fault in caught.value.faults] == [
        "registers: got no register v_v; allowed: a map that has it",
        'registers: q_kvar.access: got "r"; allowed: rw',
    ]


def register(**keys: Any) -> Register:
    return Register(**{"name": "x", "address": 0, "type": "int16", **keys})


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        ({"type": "int16", "scale": -0.1}, 1.5, (0xFFF1,)),
        ({"type": "uint16"}, 65535, (0xFFFF,)),
        ({"type": "int32"}, -2, (0xFFFF, 0xFFFE)),
        ({"type": "int32", "word_order": "little"}, 65536, (0, 1)),
        ({"type": "uint32", "offset": 10, "scale": 2}, 14, (0, 2)),
        ({"type": "uint64", "scale": 0.001}, 1529575200.25, (0, 0x164, 0x21C9, 0x55FA)),
        ({"type": "float32"}, -1.5, (0xBFC0, 0)),
        ({"type": "float32", "word_order": "little"}, -1.5, (0, 0xBFC0)),
        ({"type": "int16", "sentinel": 0x8000}, None, (0x8000,)),
        ({"type": "int16", "sentinel": -32768}, None, (0x8000,)),
        ({"type": "uint32", "sentinel": 0xFFFFFFFF}, None, (0xFFFF, 0xFFFF)),
        ({"type": "float32", "sentinel": "nan"}, None, (0x7FC0, 0)),
        ({"type": "float32", "sentinel": -9999.0}, None, (0xC61C, 0x3C00)),
    ],
)
def test_words(keys: dict[str, Any], value: float | None, words: tuple[int, ...]) -> None:
    assert register(**keys).encode(value) == words
    assert register(**keys).decode(words) == (None if value is None else pytest.approx(value, rel=1e-15))


@pytest.mark.parametrize("words", [(0x7F80, 0), (0xFF80, 0), (0x7FC0, 1), (0xFFC1, 0)])
def test_what_is_not_finite_is_not_available(words: tuple[int, ...]) -> None:
    assert register(type="float32").decode(words) is None


def test_what_is_not_believed_is_not_available() -> None:
    limited = register(scale=0.1, min=-0.3, max=30)
    assert limited.decode((0xFFFD,)) == pytest.approx(-0.3)
    assert limited.decode((0xFFFC,)) is None
    assert limited.decode((301,)) is None


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        ({"unit": "kW", "scale": 0.001}, 40, "n4 x: asked 40 kW, allowed -32.768 … 32.767 kW"),
        ({"unit": "kW", "access": "rw", "min": -10, "max": 10}, 12.0, "n4 x: asked 12 kW, allowed -10 … 10 kW"),
        ({}, nan, "n4 x: asked nan, allowed -32768 … 32767"),
        ({"type": "float32"}, inf, "n4 x: asked inf, allowed"),
        ({"type": "float32"}, 1e39, "n4 x: asked 1e+39, allowed"),
        ({}, None, "n4 x: asked nothing, allowed"),
        ({"sentinel": 5}, 5, "n4 x: asked 5, allowed"),
        ({"access": "rw", "min": 0.5}, 0.9, "n4 x: asked 0.9, allowed 0.5"),
    ],
)
def test_refusals_say_who_asked_allowed_unit(keys: dict[str, Any], value: float | None, message: str) -> None:
    with pytest.raises(RegisterRangeError) as caught:
        register(**keys).encode(value, "n4")
    assert str(caught.value).startswith(message)


@st.composite
def registers(draw: st.DrawFn) -> Register:
    size = st.floats(1e-3, 1e3).flatmap(lambda x: st.sampled_from([x, -x]))
    kind, order, access = (draw(st.sampled_from(x)) for x in (TYPES, ("big", "little"), ("r", "rw")))
    offset = draw(st.sampled_from([0.0, 0.0, 100.0]))
    return register(type=kind, scale=draw(size), offset=offset, word_order=order, access=access)


@given(register=registers(), data=st.data())
def test_what_is_written_reads_back(register: Register, data: st.DataObject) -> None:
    low, high = register.allowed
    value = data.draw(st.floats(max(low, -1e9), min(high, 1e9)))
    back = register.decode(register.encode(value))
    assert back is not None
    unit = abs(register.scale) if register.type != "float32" else 0.0
    rounding = 1e-6 * abs(value - register.offset) + 1e-9 * (abs(value) + abs(register.offset)) + 1e-40
    assert abs(back - value) <= unit + rounding
    if register.writable and register.offset == 0:
        assert abs(back) <= abs(value) * (1 + 1e-9), "a setpoint never grows"
    if not register.writable:
        assert abs(back - value) <= unit / 2 + rounding


@given(register=registers(), data=st.data())
def test_any_words_are_a_number_or_not_available(register: Register, data: st.DataObject) -> None:
    n = register.n_words
    words = tuple(data.draw(st.lists(st.integers(0, 65535), min_size=n, max_size=n)))
    value = register.decode(words)
    assert value is None or isfinite(value)
    if register.type != "uint64" and value is not None and register.offset == 0:
        assume(register.type != "float32" or abs(value) > 1e-30)
        assert register.encode(value) == words


def test_requests_cover_exactly_what_is_asked() -> None:
    kinds = {"a": (10, "float32"), "b": (12, "int16"), "c": (14, "int16"), "d": (200, "uint64")}
    plan = RegisterMap(
        schema_version=1,
        name="m",
        registers=tuple(Register(name=n, address=a, type=t) for n, (a, t) in kinds.items()),  # type: ignore[arg-type]
    )

    def spans(**options: int) -> list[tuple[int, int]]:
        return [(block.address, block.n_words) for block in plan.blocks(("d", "c", "b", "a"), **options)]

    assert spans() == [(10, 3), (14, 1), (200, 4)]
    assert spans(gap=1) == [(10, 5), (200, 4)]
    assert spans(max_words=2) == [(10, 2), (12, 1), (14, 1), (200, 4)]
    assert plan.blocks(()) == ()
    assert plan.blocks(("a", "c"), gap=2)[0].decode([0x3FC0, 0, 7, 7, 9]) == {"a": 1.5, "c": 9.0}


def test_map_of_the_documentation(save: Save) -> None:
    text = (REGISTERS.parents[1] / "docs" / "how-to" / "add_a_device.md").read_text(encoding="utf-8")
    path = save(text.split("```yaml\n")[1].split("```")[0])
    registers = load_registers(path).require(path, READABLE, WRITABLE)
    assert registers["p_kw"].encode(1.5) == (0xFFFF, 0xFA24)
