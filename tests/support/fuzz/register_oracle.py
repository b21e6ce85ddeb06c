"""Meaning of registers, implemented a second time from the map's YAML and ``struct``, without code of the driver."""

import random
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import hypot, isclose, isfinite, isnan
from pathlib import Path
from typing import Any

import yaml

FORMATS = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "uint64": ">Q", "float32": ">f"}
EXACT = 1e-12
"""Relative rounding of one multiplication."""


@dataclass(frozen=True)
class Entry:
    """One register by its manual."""

    name: str
    address: int
    type: str
    scale: float = 1.0
    offset: float = 0.0
    sentinel: int | float | str | None = None
    word_order: str = "big"
    min: float | None = None
    max: float | None = None

    @property
    def n_bytes(self) -> int:
        return struct.calcsize(FORMATS[self.type])

    def value(self, data: bytes) -> float | None:
        """Value of the bytes, None if it is unavailable or implausible."""
        if self.word_order == "little":
            data = b"".join(data[k : k + 2] for k in range(len(data) - 2, -2, -2))
        (raw,) = struct.unpack(FORMATS[self.type], data)
        if not isfinite(raw) or self._unavailable(raw, data):
            return None
        value: float = self.offset + self.scale * raw
        close = partial(isclose, rel_tol=1e-9, abs_tol=1e-9 * max(abs(self.min or 0.0), abs(self.max or 0.0)))
        too_low = self.min is not None and value < self.min and not close(value, self.min)
        too_high = self.max is not None and value > self.max and not close(value, self.max)
        return None if too_low or too_high else value

    def _unavailable(self, raw: float, data: bytes) -> bool:
        if self.sentinel is None or self.sentinel == "nan":
            return False
        if self.type == "float32":
            return bool(data == struct.pack(">f", self.sentinel))
        return bool(int(raw - int(self.sentinel)) % 2 ** (8 * self.n_bytes) == 0)


class Layout:
    """The registers of one block, and the values of its bytes."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = tuple(sorted(entries, key=lambda entry: entry.address))
        self.address = self.entries[0].address
        last = self.entries[-1]
        self.n_bytes = 2 * (last.address - self.address) + last.n_bytes

    @classmethod
    def of(cls, path: Path, names: Iterable[str] | None = None) -> "Layout":
        """The named registers of a map, or all."""
        registers: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["registers"]
        known = Entry.__dataclass_fields__.keys()
        entries = [Entry(**{key: value for key, value in r.items() if key in known}) for r in registers]
        return cls(entry for entry in entries if names is None or entry.name in set(names))

    def values(self, data: bytes) -> dict[str, float | None]:
        """Name → value."""
        starts = {entry: 2 * (entry.address - self.address) for entry in self.entries}
        return {entry.name: entry.value(data[at : at + entry.n_bytes]) for entry, at in starts.items()}

    def junk(self, rng: random.Random, sane: Mapping[str, float]) -> bytes:
        """Bytes of the block: mostly plausible values, with a few strange ones."""
        data = bytearray(rng.randbytes(self.n_bytes))
        for entry in self.entries:
            at = 2 * (entry.address - self.address)
            data[at : at + entry.n_bytes] = strange(rng, entry, sane.get(entry.name, 0.0))
        return bytes(data)


def strange(rng: random.Random, entry: Entry, sane: float) -> bytes:
    """Bytes of one register: in nine of ten cases near ``sane``."""
    usual = sane * rng.uniform(0.99, 1.01) if entry.type == "float32" else sane
    plain = _packed(entry, (usual - entry.offset) / entry.scale)
    if rng.random() < 0.9:
        return plain
    if entry.type == "float32" and rng.random() < 0.5:
        bits = rng.choice(
            ("7fc00000", "7f800000", "ff800000", "ffc00001", "7f800001", "80000000", "00000001", "7f7fffff")
        )
        return bytes.fromhex(bits)
    match rng.randrange(6):
        case 0:
            return rng.randbytes(entry.n_bytes)
        case 1:
            return b"".join(plain[k : k + 2][::-1] for k in range(0, entry.n_bytes, 2))
        case 2:
            return plain[::-1]
        case 3:
            return _packed(entry, rng.choice((1000.0, 0.001, -1.0)) * (usual - entry.offset) / entry.scale)
        case 4:
            return bytes([rng.choice((0, 255))]) * entry.n_bytes
        case _:
            return b"\x80" + bytes(entry.n_bytes - 1)


def _packed(entry: Entry, raw: float) -> bytes:
    if entry.type == "float32":
        return struct.pack(">f", raw)
    bits = 8 * entry.n_bytes
    return (round(raw) % (1 << bits)).to_bytes(entry.n_bytes, "big")


def believable(values: Mapping[str, float | None], needed: Iterable[str], limit_kva: float | None) -> bool:
    """Whether a reading at 400 V may be used: nothing missing, voltage from half to one and a half, no overload."""
    if any(values.get(name) is None for name in needed):
        return False
    p_kw, q_kvar, v_v, clock_s = (values.get(name) for name in ("p_kw", "q_kvar", "v_v", "clock_s"))
    if v_v is not None and not 200 <= v_v <= 600:
        return False
    if limit_kva is not None and p_kw is not None and q_kvar is not None and hypot(p_kw, q_kvar) > limit_kva:
        return False
    return clock_s is None or instant(clock_s) is not None


def instant(clock_s: float) -> datetime | None:
    """The date of a device clock, None beyond the calendar."""
    try:
        return datetime.fromtimestamp(clock_s, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def same(got: float | None, said: float | None) -> bool:
    """Whether two values are equal except for rounding; NaN equals nothing."""
    if got is None or said is None:
        return got is said
    return not isnan(got) and isclose(got, said, rel_tol=EXACT)
