"""Registers of every type, scale, offset, sentinel and limit against the oracle: the same value, or none."""

import random
import struct
from math import isfinite
from typing import Any

from drivers.registers import Register
from tests.support.fuzz.findings import Findings
from tests.support.fuzz.register_oracle import FORMATS, Entry, same

WORDS_PER_REGISTER = 200
_LIMITS = {"int16": 2**15, "uint16": 2**16, "int32": 2**31, "uint32": 2**32, "uint64": 2**64, "float32": 3.4e38}


def fuzz_register_values(rng: random.Random, registers: int) -> Findings:
    """Random words, and special ones, through ``WORDS_PER_REGISTER`` decodings of each register."""
    found = Findings()
    for _ in range(registers):
        keys = _keys(rng)
        entry, register = Entry(name="x", address=0, **keys), Register(name="x", address=0, **keys)
        for _ in range(WORDS_PER_REGISTER):
            data = _data(rng, entry)
            found.tried += 1
            try:
                _compare(register, entry, data, found)
            except Exception as error:
                found.crash(f"{keys}, {data.hex()}: {error!r}")
    return found


def _compare(register: Register, entry: Entry, data: bytes, found: Findings) -> None:
    words = struct.unpack(f">{len(data) // 2}H", data)
    got, said = register.decode(words), entry.value(data)
    if not same(got, said) or (got is not None and not isfinite(got)):
        found.wrong_value(f"{register}: {data.hex()} is {got}, not {said}")
    if got is None:
        return
    found.accepted += 1
    exact = entry.type not in ("uint64", "float32") and abs(entry.offset / entry.scale) < 1e6
    if exact and register.encode(got) != words:
        found.wrong_value(f"{register}: {data.hex()} is {got}, which is {register.encode(got)}")


def _keys(rng: random.Random) -> dict[str, Any]:
    kind = rng.choice(list(FORMATS))
    keys: dict[str, Any] = {
        "type": kind,
        "scale": rng.choice((1.0, 0.1, 0.001, -1.0, -0.001, 1000.0, rng.uniform(-10, 10) or 1.0)),
        "offset": rng.choice((0.0, 0.0, 0.0, 100.0, -273.15)),
        "word_order": rng.choice(("big", "little")),
    }
    if rng.random() < 0.6:
        keys["sentinel"] = _sentinel(rng, kind)
    if rng.random() < 0.5:
        ends = sorted(keys["offset"] + keys["scale"] * rng.uniform(-1, 1) * _LIMITS[kind] for _ in range(2))
        keys |= {name: max(min(end, 1e9), -1e9) for name, end in zip(("min", "max"), ends, strict=True)}
    return keys


def _sentinel(rng: random.Random, kind: str) -> int | float | str:
    if kind == "float32":
        return rng.choice(("nan", 0.0, -1.0, 1e30))
    bits = 8 * struct.calcsize(FORMATS[kind])
    least = -(2 ** (bits - 1)) if rng.random() < 0.5 else 0
    return rng.choice((least, 2**bits - 1, 2 ** (bits - 1), rng.getrandbits(bits)))


def _data(rng: random.Random, entry: Entry) -> bytes:
    if isinstance(entry.sentinel, int | float) and rng.random() < 0.1:
        raw = entry.sentinel
        big = struct.pack(">f", raw) if entry.type == "float32" else (int(raw) % 2 ** (8 * entry.n_bytes))
        data = big if isinstance(big, bytes) else big.to_bytes(entry.n_bytes, "big")
        words = [data[k : k + 2] for k in range(0, len(data), 2)]
        return b"".join(words if entry.word_order == "big" else words[::-1])
    if rng.random() < 0.1:
        return rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * entry.n_bytes
    return rng.randbytes(entry.n_bytes)
