"""Register maps as data, and their codec: words on the wire ↔ values in engineering units.

A map is a YAML file (``configs/registers``), shared by driver and simulated device. Holding registers are numbered from
0; value = offset + scale × raw. A negative ``scale`` turns the sign of the wire into ours (demand positive). Registers
of access ``rw`` are the whitelist of what may ever be written. ``min`` and ``max`` limit values that are written, and
values that are accepted when read.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import inf, isclose, isfinite, isnan, nan, trunc
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from core.config_fields import Name, Number, Section, Whole
from core.errors import Fault, GridlabError, InputError, shown
from core.load import load_yaml

MAX_READ_WORDS = 125
MAX_WRITE_WORDS = 123
"""Most registers of one request (Modbus application protocol 1.1b3, functions 3 and 16)."""

_FORMATS = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "uint64": ">Q", "float32": ">f"}
_LARGEST_FLOAT32 = (2 - 2**-23) * 2.0**127


class RegisterRangeError(GridlabError):
    """A value that a register cannot hold or that may not be written; the message names it and what is allowed."""


class Register(Section):
    """One quantity of a device. ``sentinel`` is the raw value that means "not available"."""

    name: Name
    address: Annotated[Whole, Field(ge=0, le=65535, description="a register number, counted from 0, up to 65535")]
    type: Annotated[
        Literal["int16", "uint16", "int32", "uint32", "uint64", "float32"],
        Field(description=", ".join(_FORMATS)),
    ]
    scale: Annotated[Number, Field(description="a number other than 0")] = 1.0
    offset: Annotated[Number, Field(description="a number")] = 0.0
    unit: Annotated[str, Field(max_length=16, description="a unit, or an empty text")] = ""
    access: Annotated[Literal["r", "rw"], Field(description="r or rw")] = "r"
    sentinel: Annotated[
        Literal["nan"] | Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True)] | None,
        Field(description="a raw value that the type can hold, or nan for float32"),
    ] = None
    word_order: Annotated[Literal["big", "little"], Field(description="big or little")] = "big"
    min: Annotated[Number | None, Field(description="a number, not above max")] = None
    max: Annotated[Number | None, Field(description="a number, not below min")] = None
    description: Annotated[str, Field(description="a text")] = ""

    @property
    def writable(self) -> bool:
        """Whether it is on the whitelist."""
        return self.access == "rw"

    @property
    def n_words(self) -> int:
        """Number of 16-bit registers that it occupies."""
        return struct.calcsize(_FORMATS[self.type]) // 2

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.address + self.n_words

    @property
    def raw_range(self) -> tuple[float, float]:
        """Lowest and highest raw value of the type."""
        bits = 16 * self.n_words
        if self.type == "float32":
            return -_LARGEST_FLOAT32, _LARGEST_FLOAT32
        return (0, 2**bits - 1) if self.type.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value that the type can hold, in ``unit``."""
        low, high = sorted(self.offset + self.scale * raw for raw in self.raw_range)
        return low, high

    @property
    def allowed(self) -> tuple[float, float]:
        """Lowest and highest plausible value, in ``unit``."""
        low, high = self.range
        return max(low, -inf if self.min is None else self.min), min(high, inf if self.max is None else self.max)

    @cached_property
    def sentinel_words(self) -> tuple[int, ...] | None:
        """The words that mean "not available"."""
        if self.sentinel is None:
            return None
        if self.type == "float32":
            return self._words(struct.pack(">f", nan if self.sentinel == "nan" else self.sentinel))
        return self._words((int(self.sentinel) % 2 ** (16 * self.n_words)).to_bytes(2 * self.n_words, "big"))

    def encode(self, value: float | None, who: str = "") -> tuple[int, ...]:
        """Words of a value in ``unit``; None is the sentinel.

        Writable values are rounded toward zero, so that no setpoint grows by its encoding; measurements are rounded.

        Raises:
            RegisterRangeError: the value is not finite, too large for the type, outside ``allowed`` in a writable
                register, or None without a sentinel.
        """
        if value is None and self.sentinel_words is not None:
            return self.sentinel_words
        low, high = self.allowed if self.writable else self.range
        if value is None or not isfinite(value) or not low <= value <= high:
            raise self._refusal(value, who)
        raw = min(max((value - self.offset) / self.scale, self.raw_range[0]), self.raw_range[1])
        words = self._words(_pack(_FORMATS[self.type], raw, toward_zero=self.writable))
        if words == self.sentinel_words or (self.writable and self.decode(words) is None):
            raise self._refusal(value, who)
        return words

    def decode(self, words: Sequence[int]) -> float | None:
        """The value in ``unit``, or None if the words mean "not available" or a value outside ``allowed``."""
        if tuple(words) == self.sentinel_words:
            return None
        ordered = words if self.word_order == "big" else words[::-1]
        (raw,) = struct.unpack(_FORMATS[self.type], struct.pack(f">{self.n_words}H", *ordered))
        value: float = self.offset + self.scale * raw
        low, high = self.allowed
        slack = 1e-9 * max(abs(low), abs(high))
        return value if low - slack <= value <= high + slack else None

    def _words(self, data: bytes) -> tuple[int, ...]:
        words: tuple[int, ...] = struct.unpack(f">{self.n_words}H", data)
        return words if self.word_order == "big" else words[::-1]

    def _refusal(self, value: float | None, who: str) -> RegisterRangeError:
        low, high = self.allowed if self.writable else self.range
        asked = "nothing" if value is None else f"{value:g} {self.unit}".rstrip()
        text = f"asked {asked}, allowed {low:g} … {high:g} {self.unit}".rstrip()
        return RegisterRangeError(f"{who} {self.name}: {text}".lstrip())


def _pack(form: str, raw: float, *, toward_zero: bool) -> bytes:
    if form != ">f":
        near = round(raw)
        cut = toward_zero and not isclose(raw, near, rel_tol=1e-12, abs_tol=1e-9)
        return struct.pack(form, trunc(raw) if cut else near)
    data = struct.pack(form, raw)
    (stored,) = struct.unpack(form, data)
    if toward_zero and abs(stored) > abs(raw) * (1 + 1e-12):
        return (int.from_bytes(data, "big") - 1).to_bytes(4, "big")
    return data


@dataclass(frozen=True)
class RegisterBlock:
    """Registers of one request, by ascending address; a block that is written has no gaps."""

    registers: tuple[Register, ...]

    @property
    def address(self) -> int:
        """Address of its first register."""
        return self.registers[0].address

    @property
    def n_words(self) -> int:
        """Number of words from its first to its last register."""
        return self.registers[-1].end - self.address

    def encode(self, values: Mapping[str, float | None], who: str = "") -> list[int]:
        """All words of the block.

        Raises:
            RegisterRangeError: see :meth:`Register.encode`.
        """
        return [word for register in self.registers for word in register.encode(values[register.name], who)]

    def decode(self, words: Sequence[int]) -> dict[str, float | None]:
        """Name → value; ``words`` are those of the whole block."""
        return {r.name: r.decode(words[r.address - self.address : r.end - self.address]) for r in self.registers}


class RegisterMap(Section):
    """All registers of a kind of device."""

    schema_version: Annotated[Whole, Field(ge=1, le=1, description="1")]
    name: Name
    description: Annotated[str, Field(description="a text")] = ""
    registers: Annotated[tuple[Register, ...], Field(description="a list of registers {name, address, type, …}")]

    @cached_property
    def by_name(self) -> Mapping[str, Register]:
        """Name → register."""
        return {register.name: register for register in self.registers}

    def __getitem__(self, name: str) -> Register:
        return self.by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self.by_name

    def blocks(self, names: Iterable[str], max_words: int = MAX_READ_WORDS, gap: int = 0) -> tuple[RegisterBlock, ...]:
        """The fewest requests that cover these registers, by ascending address.

        Args:
            gap: largest number of words between two registers that one request may cover; many devices allow none.
        """
        groups: list[list[Register]] = []
        for register in sorted((self[name] for name in names), key=lambda register: register.address):
            last = groups[-1] if groups else None
            if last and register.address - last[-1].end <= gap and register.end - last[0].address <= max_words:
                last.append(register)
            else:
                groups.append([register])
        return tuple(RegisterBlock(tuple(group)) for group in groups)

    def require(self, file: Path, readable: Iterable[str], writable: Iterable[str] = ()) -> Self:
        """Return the map itself if it has these registers.

        Raises:
            InputError: naming those of ``file`` that are missing or not writable.
        """
        missing = [name for name in (*readable, *writable) if name not in self]
        closed = [name for name in writable if name in self and not self[name].writable]
        faults = [Fault(str(file), "registers", f"no register {name}", "a map that has it") for name in missing]
        faults += [Fault(str(file), f"registers: {name}.access", shown("r"), "rw") for name in closed]
        if faults:
            raise InputError(faults)
        return self


def load_registers(path: Path) -> RegisterMap:
    """Read a register map.

    Raises:
        InputError: with all faults of the file.
    """
    data = load_yaml(path)
    try:
        registers = RegisterMap.model_validate(data)
    except ValidationError as error:
        raise InputError(_key_faults(error, str(path))) from error
    if faults := [Fault(str(path), *rule) for rule in _broken_rules(registers)]:
        raise InputError(faults)
    return registers


def _key_faults(error: ValidationError, file: str) -> list[Fault]:
    """One fault per key; for a union of types pydantic reports one error per member."""
    return list({fault.key: fault for fault in (_key_fault(detail, file) for detail in error.errors())}.values())


def _key_fault(detail: ErrorDetails, file: str) -> Fault:
    place = detail["loc"]
    if not place:
        return Fault(file, "", shown(detail["input"]), f"a section with the keys {', '.join(RegisterMap.model_fields)}")
    inside = place[0] == "registers" and len(place) > 2
    fields = (Register if inside else RegisterMap).model_fields
    name = str(place[2] if inside else place[0])
    key = f"registers[{place[1]}].{name}" if inside else "".join(f"[{p}]" if isinstance(p, int) else p for p in place)
    if name not in fields:
        return Fault(file, key, "an unknown key", f"the keys {', '.join(fields)}")
    if detail["type"] == "missing":
        return Fault(file, key, "nothing", f"{fields[name].description}; it is required")
    if len(place) == 2:
        return Fault(file, key, shown(detail["input"]), f"a section with the keys {', '.join(Register.model_fields)}")
    return Fault(file, key, shown(detail["input"]), fields[name].description or "")


def _broken_rules(registers: RegisterMap) -> Iterator[tuple[str, str, str]]:
    """(key, got, allowed) of faults that depend on several values."""
    if not registers.registers:
        yield "registers", "an empty list", "at least one register"
    seen: dict[str, int] = {}
    for k, register in enumerate(registers.registers):
        if (first := seen.setdefault(register.name, k)) != k:
            yield f"registers[{k}].name", shown(register.name), f"a name that registers[{first}] does not have"
        yield from _broken_register(f"registers[{k}]", register)
    order = sorted(range(len(registers.registers)), key=lambda k: registers.registers[k].address)
    for j, k in pairwise(order):
        before, after = registers.registers[j], registers.registers[k]
        if after.address < before.end:
            allowed = f"at least {before.end}, behind {before.name} of registers[{j}]"
            yield f"registers[{k}].address", f"{after.address}", allowed


def _broken_register(key: str, register: Register) -> Iterator[tuple[str, str, str]]:
    if register.scale == 0:
        yield f"{key}.scale", "0", "a number other than 0"
    if register.end > 65536:
        yield f"{key}.address", f"{register.address}", f"at most {65536 - register.n_words} for {register.type}"
    if not _sentinel_fits(register):
        allowed = "nan or a number" if register.type == "float32" else f"a whole number of {16 * register.n_words} bit"
        yield f"{key}.sentinel", shown(register.sentinel), f"{allowed}, raw, as {register.type} holds it"
    low, high = register.allowed
    if register.scale and low > high:
        yield f"{key}.min", f"{low:g}", f"at most {high:g} {register.unit}, the largest value".replace(" ,", ",")


def _sentinel_fits(register: Register) -> bool:
    """Whether the type can hold the sentinel; 0x8000 and -32768 are the same int16."""
    sentinel = register.sentinel
    if sentinel is None:
        return True
    if register.type == "float32":
        return sentinel == "nan" or (not isnan(sentinel) and abs(sentinel) <= _LARGEST_FLOAT32)
    bits = 16 * register.n_words
    return isinstance(sentinel, int) and -(2 ** (bits - 1)) <= sentinel < 2**bits
