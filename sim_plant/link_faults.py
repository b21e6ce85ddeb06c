"""What can be wrong with the link to a device, by name, and what that makes of a message. Knows no socket."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, inf
from random import Random


class LinkFault(StrEnum):
    """What can be wrong with a link; where several are, the first of this list acts.

    Of the whole address, with every connection: down (refused; connections are reset), flapping (down for every second
    half of a period), black_hole (accepted, never answered).

    Of one device's messages where units tell devices apart (Modbus), else of all at the address: silent (requests are
    lost), late_write (writes reach the device later, by the plant's time, also when nobody waits any more), late (every
    answer comes in place of the next one), replay (an old answer comes ahead of the right one), garbage (random bytes),
    corrupt (flipped bits), fewer (a well-formed answer without its last register), short (half an answer), cut (half an
    answer, then the end), reset (half an answer, then RST), slow, sliced (single bytes).
    """

    DOWN = "down"
    FLAPPING = "flapping"
    BLACK_HOLE = "black_hole"
    SILENT = "silent"
    LATE_WRITE = "late_write"
    LATE = "late"
    REPLAY = "replay"
    GARBAGE = "garbage"
    CORRUPT = "corrupt"
    FEWER = "fewer"
    SHORT = "short"
    CUT = "cut"
    RESET = "reset"
    SLOW = "slow"
    SLICED = "sliced"


NUMBERS = {LinkFault.FLAPPING: 1.0, LinkFault.LATE_WRITE: 2.0, LinkFault.CORRUPT: 8.0, LinkFault.SLOW: 2.0}
"""Faults that take a number, and what it is where none is given: Hz, s of the plant's time, bits of an answer, s."""

REQUEST_FAULTS = (LinkFault.SILENT, LinkFault.LATE_WRITE)
ANSWER_FAULTS = tuple(LinkFault)[tuple(LinkFault).index(LinkFault.LATE) :]


class Ending(StrEnum):
    """How a connection ends after a piece of an answer."""

    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True)
class Piece:
    """Bytes for the client, ``pause_s`` after what went before, and the end of the connection if it follows."""

    data: bytes
    pause_s: float = 0.0
    ending: Ending | None = None


@dataclass(frozen=True)
class Framing:
    """How a protocol tells where a message ends, which unit it is for, and which function is a write.

    ``lacks``: faults that cannot be had, as messages do not tell enough.
    """

    header: int
    length: Callable[[bytes], int]
    unit_at: int | None
    writes: Callable[[bytes], bool]
    lacks: tuple[LinkFault, ...] = ()

    def unit(self, message: bytes) -> int | None:
        """The unit that it is for, or from."""
        return message[self.unit_at] if self.unit_at is not None and len(message) > self.unit_at else None

    def whole_messages(self, buffer: bytearray) -> Iterator[bytes]:
        """Whole messages, taken off the front of ``buffer``; one whose length cannot be true takes everything."""
        while len(buffer) >= self.header:
            length = self.length(bytes(buffer[: self.header]))
            end = len(buffer) if length < self.header else length
            if len(buffer) < end:
                return
            yield bytes(buffer[:end])
            del buffer[:end]


_READ, _WRITES = 3, (6, 16)
_MBAP, _TLS_HEADER, _OPCUA_HEADER, _OPCUA_SERVICE = 7, 5, 8, 24
_WRITE_REQUEST = bytes((0x01, 0x00, 0xA1, 0x02))
"""Node id i=673 of WriteRequest's binary encoding; behind encryption nobody can see it."""

MODBUS = Framing(
    header=_MBAP,
    length=lambda head: 6 + int.from_bytes(head[4:6], "big"),
    unit_at=6,
    writes=lambda message: len(message) > _MBAP and message[_MBAP] in _WRITES,
)
MODBUS_TLS = Framing(
    header=_TLS_HEADER,
    length=lambda head: _TLS_HEADER + int.from_bytes(head[3:5], "big"),
    unit_at=None,
    writes=lambda _: False,
    lacks=(LinkFault.LATE_WRITE, LinkFault.FEWER),
)
"""Messages are TLS records, handshake included; nobody sees what is in them."""
OPCUA = Framing(
    header=_OPCUA_HEADER,
    length=lambda head: int.from_bytes(head[4:8], "little"),
    unit_at=None,
    writes=lambda message: message[_OPCUA_SERVICE : _OPCUA_SERVICE + 4] == _WRITE_REQUEST,
    lacks=(LinkFault.FEWER,),
)


def pieces(fault: LinkFault | None, number: float, answer: bytes, chance: Random) -> Iterator[Piece]:
    """What a fault that needs no memory makes of an answer."""
    half = answer[: len(answer) // 2]
    match fault:
        case LinkFault.GARBAGE:
            yield Piece(chance.randbytes(len(answer)))
        case LinkFault.CORRUPT:
            yield Piece(_flipped(answer, ceil(number), chance))
        case LinkFault.FEWER:
            yield Piece(_fewer(answer))
        case LinkFault.SHORT:
            yield Piece(half)
        case LinkFault.CUT:
            yield Piece(half, ending=Ending.CLOSE)
        case LinkFault.RESET:
            yield Piece(half, ending=Ending.RESET)
        case LinkFault.SLOW:
            yield Piece(answer, pause_s=number)
        case LinkFault.SLICED:
            yield from (Piece(bytes((byte,))) for byte in answer)
        case _:
            yield Piece(answer)


def fits(fault: LinkFault, number: float) -> bool:
    """Whether a fault can have this number."""
    return fault in NUMBERS and 0 < number < inf


def _flipped(answer: bytes, n_bits: int, chance: Random) -> bytes:
    bits = chance.sample(range(8 * len(answer)), min(n_bits, 8 * len(answer)))
    return (int.from_bytes(answer, "big") ^ sum(1 << bit for bit in bits)).to_bytes(len(answer), "big")


def _fewer(answer: bytes) -> bytes:
    """A Modbus answer to a read without its last register, its lengths put right; another one stays as it is."""
    if len(answer) < _MBAP + 4 or answer[_MBAP] != _READ or MODBUS.length(answer) != len(answer):
        return answer
    length, n_bytes = len(answer) - 6 - 2, answer[_MBAP + 1] - 2
    return b"".join((answer[:4], length.to_bytes(2, "big"), answer[6:8], bytes((n_bytes,)), answer[9:-2]))
