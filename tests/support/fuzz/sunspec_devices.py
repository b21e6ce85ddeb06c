"""SunSpec devices with arbitrary models, lengths, scale factors and values, behind a network that damages frames.

Offsets and meanings are those of the SunSpec model definitions (tests/drivers/test_sunspec.py compares them with
SunSpec's own files). A damaged frame is never a valid answer, so the registers are the truth.
"""

import asyncio
import random
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from core.devices import Measurement, Quality
from drivers.converter import WiredConverter
from drivers.converters.sunspec import SunspecWire
from drivers.exchange import TIMING, Exchanges
from drivers.fencing import Fence
from drivers.modbus import ModbusLink
from drivers.readings import ReadingCheck
from tests.support.fuzz.findings import Findings
from tests.support.fuzz.frames import Request, damaged, sliced
from tests.support.fuzz.mapped_devices import OVERLOAD_KVA, PAUSE_S, RATING_KVA
from tests.support.fuzz.memory_wire import LoopClock, run_on
from tests.support.fuzz.register_oracle import Entry, believable, instant, same

BASE = 40000
LENGTHS = {1: 66, 701: 153, 704: 65, 715: 7}
NEEDED = {701: 118, 704: 56, 715: 5}
"""Least length of a model in words after its ID and length: up to the last scale factor or value in use."""
VALUES = {
    "p_kw": (701, 10, "int16", 116, -0.001),
    "q_kvar": (701, 12, "int16", 119, -0.001),
    "i_a": (701, 14, "int16", 113, 1.0),
    "v_v": (701, 15, "uint16", 114, 1.0),
    "clock_s": (715, 3, "uint32", None, 1.0),
}
"""Name → model, offset, type, offset of its scale factor, factor to our unit."""
SETPOINT_SCALES = ((704, 55), (704, 57))
SENTINELS = {"int16": -(2**15), "uint16": 2**16 - 1, "uint32": 2**32 - 1}
SANE = {
    (701, 3): 1, (701, 4): 4, (701, 10): -4000, (701, 12): 2000, (701, 14): 800, (701, 15): 4000, (701, 113): -2,
    (701, 114): -1, (701, 116): 0, (701, 119): 0, (704, 55): 0, (704, 57): 0, (715, 3): 23339, (715, 4): 8032,
}  # fmt: skip


@dataclass
class Device:
    """Registers from 40000 on; others do not exist. ``unharmed``: every answer so far arrived undamaged."""

    rng: random.Random
    data: bytes = b""
    unharmed: bool = True
    frames: int = 0
    harm: float = 0.0
    _stale: bytes = b""

    def renew(self) -> None:
        """Become another device."""
        self.harm = self.rng.choice((0.0, 0.0, 0.1, 0.4))
        self.data = _strange_bank(self.rng)

    @property
    def models(self) -> dict[int, int]:
        """See :func:`_models`."""
        return _models(self.data)

    def answer(self, adu: bytes) -> list[bytes] | None:
        """Data that arrive after this request; None closes the connection."""
        self.frames += 1
        request = Request.of(adu)
        at = 2 * (request.address - BASE)
        there = self.data[at : at + 2 * request.count]
        known = len(there) == 2 * request.count
        frame = request.reading(there) if known else request.adu(b"\x83\x02")
        stream = frame
        if self.rng.random() < self.harm:
            spoilt_frame = damaged(self.rng, request, frame, self._stale)
            misleading = any(data != there for data in request.answers_in(spoilt_frame))
            stream = frame if misleading else spoilt_frame
        self._stale = frame
        self.unharmed = self.unharmed and stream == frame
        return None if stream != frame and self.rng.random() < 0.1 else sliced(self.rng, stream)

    def value(self, name: str) -> float | None:
        """Value of a point by its registers."""
        model, offset, kind, sf_offset, factor = VALUES[name]
        exponent = 0 if sf_offset is None else self.exponent(model, sf_offset)
        if exponent is None:
            return None
        entry = Entry(name, 0, kind, factor * 10.0**exponent, sentinel=SENTINELS[kind])
        at = 2 * (self.models[model] + offset)
        return entry.value(self.data[at : at + entry.n_bytes])

    def exponent(self, model: int, offset: int) -> int | None:
        """A scale factor, None if it is out of the supported range."""
        at = 2 * (self.models[model] + offset)
        (exponent,) = struct.unpack_from(">h", self.data, at)
        return exponent if -10 <= exponent <= 9 else None

    def says(self) -> dict[str, float | None] | None:
        """All values; None if the device cannot be used."""
        if not NEEDED.keys() <= self.models.keys() or 1 not in self.models:
            return None
        scales = [*SETPOINT_SCALES, *((VALUES[name][0], VALUES[name][3] or 0) for name in ("p_kw", "q_kvar"))]
        if any(self.exponent(model, offset) is None for model, offset in scales):
            return None
        return {name: self.value(name) for name in VALUES}


def fuzz_sunspec(seed: random.Random, devices: int) -> Findings:
    """Three readings of each device."""
    device, found = Device(seed), Findings()

    async def main() -> None:
        clock = LoopClock()
        for _ in range(devices):
            device.renew()
            async with ModbusLink("sunspec", 1, clock) as link:
                gauge, turns = ReadingCheck("n5", 400.0, clock, RATING_KVA), Exchanges("n5", clock, TIMING)
                converter = WiredConverter(SunspecWire(link, 1, turns), gauge, turns, fence=Fence(7))
                for _ in range(3):
                    await _read(device, converter, found)

    run_on(device.answer, main(), found.stray)
    found.tried = device.frames
    return found


async def _read(device: Device, converter: WiredConverter, found: Findings) -> None:
    device.unharmed = True
    try:
        reading = await converter.read()
    except Exception as error:
        found.crash(f"sunspec: {error!r}, models {device.models}, registers {device.data.hex()}")
        reading = None
    said = device.says()
    usable = said is not None and believable(said, ("p_kw", "q_kvar"), OVERLOAD_KVA)
    if reading is not None:
        good = reading.quality is Quality.GOOD
        found.accepted += good
        if good and (said is None or not usable or not _agrees(reading, said)):
            found.wrong_value(f"sunspec: accepted {reading}, said {said}")
        if usable and device.unharmed and not good:
            found.wrong_value(f"sunspec: refused {said}")
    if reading is None or reading.quality is not Quality.GOOD:
        await asyncio.sleep(PAUSE_S)


def _agrees(reading: Measurement, said: dict[str, float | None]) -> bool:
    v_v, clock_s = said["v_v"], said["clock_s"]
    pairs = ((reading.p_kw, said["p_kw"]), (reading.q_kvar, said["q_kvar"]), (reading.i_a, said["i_a"]))
    v_pu = None if v_v is None else v_v / 400.0
    at = None if clock_s is None else instant(clock_s)
    return all(same(got, told) for got, told in pairs) and same(reading.v_pu, v_pu) and reading.taken_at == at


def bank(lengths: Mapping[int, int], words: Mapping[tuple[int, int], int]) -> bytes:
    """Registers of a device by (model, offset), 0 elsewhere."""
    data = [0x5375, 0x6E53]
    for model, length in lengths.items():
        data += [model, length, *(words.get((model, offset), 0) % 2**16 for offset in range(2, 2 + length))]
    data += [0xFFFF, 0]
    return struct.pack(f">{len(data)}H", *data)


def _strange_bank(rng: random.Random) -> bytes:
    """Plausible registers, with a few strange words in most of them."""
    order = list(LENGTHS)
    if rng.random() < 0.2:
        rng.shuffle(order)
    lengths = {model: _strange_length(rng, model) if rng.random() < 0.05 else LENGTHS[model] for model in order}
    words = bytearray(bank(lengths, SANE))
    spots, base = [0, 1], 2
    for model, length in lengths.items():
        spots += [base, base + 1, *(base + offset for m, offset in SANE if m == model and offset < length + 2)]
        base += 2 + length
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        word = rng.choice((0, 1, 2, 10, 11, 0xFFFF, 0x8000, 0x7FFF, 0xFFF6, rng.getrandbits(16)))
        struct.pack_into(">H", words, 2 * rng.choice([*spots, base]), word)
    if rng.random() < 0.1:
        words += rng.randbytes(2 * rng.randrange(100))
    if rng.random() < 0.05:
        words += bytes(2 * (65536 - BASE) - len(words))
    return bytes(words)


def _strange_length(rng: random.Random, model: int) -> int:
    needed = NEEDED.get(model, 1)
    return rng.choice((0, 1, 2, needed - 1, needed, rng.randrange(200)))


def _models(data: bytes) -> dict[int, int]:
    """Model → begin, in words; {} if the list is broken, or a model too short for its points."""
    if data[:4] != b"SunS":
        return {}
    found: dict[int, tuple[int, int]] = {}
    at = 2
    for _ in range(64):
        if 2 * at + 4 > len(data):
            return {}
        model, length = struct.unpack_from(">HH", data, 2 * at)
        if model == 0xFFFF:
            short = any(found[m][1] < need for m, need in NEEDED.items() if m in found)
            return {} if short else {m: base for m, (base, _) in found.items()}
        found.setdefault(model, (at, length))
        at += 2 + length
    return {}
