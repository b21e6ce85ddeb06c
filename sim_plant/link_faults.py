"""Faults of the link to a device, by name, and their effect on a message. Uses no socket."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, inf
from random import Random


class LinkFault(StrEnum):
    """Faults of a link. Of several active ones the first in this list acts.

    Faults of the whole address, with every connection: down (connections are refused, open ones reset), flapping (down
    for every second half of a period), black_hole (accepted, never answered).

    Faults of one device's messages where the protocol has units (Modbus), else of all messages at the address: silent
    (requests are lost), late_write (writes reach the device later, in plant time, even if the client no longer waits),
    late (every answer is sent in place of the next one), replay (an old answer precedes the right one), garbage (random
    bytes), corrupt (flipped bits), fewer (a well-formed answer without its last register), short (half an answer), cut
    (half an answer, then FIN), reset (half an answer, then RST), slow, sliced (single bytes).
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
"""Faults with a number, and its default: Hz, s of plant time, bits of an answer, s."""

REQUEST_FAULTS = (LinkFault.SILENT, LinkFault.LATE_WRITE)
ANSWER_FAULTS = tuple(LinkFault)[tuple(LinkFault).index(LinkFault.LATE) :]


class LinkEnding(StrEnum):
    """How a connection ends after a piece of an answer."""

    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True)
class Piece:
    """Bytes for the client, sent ``pause_s`` after the previous piece; ``ending`` then closes the connection."""

    data: bytes
    pause_s: float = 0.0
    ending: LinkEnding | None = None


@dataclass(frozen=True)
class Framing:
    """How a protocol delimits its messages, and where they name the unit and the function.

    Attributes:
        header: bytes that are needed to know a message's length.
        length: length of a message (bytes) from its header.
        unit_at: offset of the unit; None where messages name none.
        writes: whether a message is a write request.
        impossible: faults that cannot be simulated, as messages do not show enough.
    """

    header: int
    length: Callable[[bytes], int]
    unit_at: int | None
    writes: Callable[[bytes], bool]
    impossible: tuple[LinkFault, ...] = ()

    def unit(self, message: bytes) -> int | None:
        """The unit that the message is for or from; None if it names none."""
        return message[self.unit_at] if self.unit_at is not None and len(message) > self.unit_at else None

    def whole_messages(self, buffer: bytearray) -> Iterator[bytes]:
        """Remove the complete messages from the front of ``buffer``; one with an impossible length takes the whole
        buffer.
        """
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
"""Node id i=673 of the binary encoding of a WriteRequest; encryption hides it."""

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
    impossible=(LinkFault.LATE_WRITE, LinkFault.FEWER),
)
"""The messages are TLS records, handshake included; their content is encrypted."""
OPCUA = Framing(
    header=_OPCUA_HEADER,
    length=lambda head: int.from_bytes(head[4:8], "little"),
    unit_at=None,
    writes=lambda message: message[_OPCUA_SERVICE : _OPCUA_SERVICE + 4] == _WRITE_REQUEST,
    impossible=(LinkFault.FEWER,),
)


def pieces(fault: LinkFault | None, number: float, answer: bytes, rng: Random) -> Iterator[Piece]:
    """The pieces that the client gets for an answer; ``late`` and ``replay`` need memory and are in ``links``."""
    half = answer[: len(answer) // 2]
    match fault:
        case LinkFault.GARBAGE:
            yield Piece(rng.randbytes(len(answer)))
        case LinkFault.CORRUPT:
            yield Piece(_flipped(answer, ceil(number), rng))
        case LinkFault.FEWER:
            yield Piece(_fewer(answer))
        case LinkFault.SHORT:
            yield Piece(half)
        case LinkFault.CUT:
            yield Piece(half, ending=LinkEnding.CLOSE)
        case LinkFault.RESET:
            yield Piece(half, ending=LinkEnding.RESET)
        case LinkFault.SLOW:
            yield Piece(answer, pause_s=number)
        case LinkFault.SLICED:
            yield from (Piece(bytes((byte,))) for byte in answer)
        case _:
            yield Piece(answer)


def number_allowed(fault: LinkFault, number: float) -> bool:
    """Whether a fault can have this number."""
    return fault in NUMBERS and 0 < number < inf


def _flipped(answer: bytes, n_bits: int, rng: Random) -> bytes:
    bits = rng.sample(range(8 * len(answer)), min(n_bits, 8 * len(answer)))
    return (int.from_bytes(answer, "big") ^ sum(1 << bit for bit in bits)).to_bytes(len(answer), "big")


def _fewer(answer: bytes) -> bytes:
    """A Modbus read answer without its last register, with the lengths adapted; any other answer stays unchanged."""
    if len(answer) < _MBAP + 4 or answer[_MBAP] != _READ or MODBUS.length(answer) != len(answer):
        return answer
    length, n_bytes = len(answer) - 6 - 2, answer[_MBAP + 1] - 2
    return b"".join((answer[:4], length.to_bytes(2, "big"), answer[6:8], bytes((n_bytes,)), answer[9:-2]))
