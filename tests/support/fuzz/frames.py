"""Modbus TCP frames: which of them are valid answers, and damages that make them invalid.

A valid answer (Modbus Messaging on TCP/IP 1.0b; Application Protocol 1.1b3) has the transaction of the request,
protocol 0, the length of what follows, the unit, the function, and for a reading twice the registers as byte count.
"""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

READ, WRITE = 3, 16


@dataclass(frozen=True)
class Request:
    """A request to read or write holding registers, as it came over the wire."""

    header: bytes
    function: int
    address: int
    count: int
    written: bytes

    @classmethod
    def of(cls, adu: bytes) -> "Request":
        """Parse the bytes of a request; ``written`` is empty for a reading."""
        function, address, count = struct.unpack_from(">BHH", adu, 7)
        return cls(adu[:7], function, address, count, adu[13:] if function == WRITE else b"")

    def adu(self, pdu: bytes) -> bytes:
        """A frame that answers this request."""
        return self.header[:4] + struct.pack(">H", len(pdu) + 1) + self.header[6:7] + pdu

    def reading(self, data: bytes) -> bytes:
        """The frame that carries these registers."""
        return self.adu(struct.pack(">BB", READ, len(data)) + data)

    def acknowledgement(self) -> bytes:
        """The frame that confirms a write."""
        return self.adu(struct.pack(">BHH", WRITE, self.address, self.count))

    def answers_in(self, stream: bytes) -> list[bytes]:
        """The registers, or b"" for a confirmed write, of every valid answer in ``stream``."""
        start = self.reading(bytes(2 * self.count))[:9] if self.function == READ else self.acknowledgement()
        size = 2 * self.count if self.function == READ else 0
        found, at = [], stream.find(start)
        while at >= 0:
            data = stream[at + len(start) : at + len(start) + size]
            if len(data) == size:
                found.append(data)
            at = stream.find(start, at + 1)
        return found


@dataclass(frozen=True)
class FrameDamage:
    """Damages of ``adu``, the answer to ``request``; ``stale`` is an earlier answer."""

    rng: random.Random
    request: Request
    adu: bytes
    stale: bytes

    @property
    def at(self) -> int:
        """A random position in the frame."""
        return self.rng.randrange(len(self.adu))

    def junk(self, least: int, most: int) -> bytes:
        """Random bytes."""
        return self.rng.randbytes(self.rng.randint(least, most))

    def any_of(self, *bytes_: int) -> bytes:
        """One of these bytes, or any byte."""
        return bytes([self.rng.choice((*bytes_, self.rng.getrandbits(8))) % 256])

    def flipped(self) -> bytes:
        """Flip some bits."""
        data = bytearray(self.adu)
        for _ in range(self.rng.choice((1, 1, 2, 8))):
            data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
        return bytes(data)

    def inserted(self) -> bytes:
        """Insert bytes."""
        at = self.at
        return self.adu[:at] + self.junk(1, 8) + self.adu[at:]

    def mislengthed(self) -> bytes:
        """Change the length in the header."""
        size = len(self.adu) - 7
        promised = self.rng.choice((0, 1, 2, 3, size, size + 2, self.rng.getrandbits(16)))
        return self.adu[:4] + struct.pack(">H", promised) + self.adu[6:]

    def miscounted(self) -> bytes:
        """Answer with another number of registers than requested."""
        count = self.rng.randint(0, 125)
        return self.request.adu(struct.pack(">BB", READ, 2 * count) + self.rng.randbytes(2 * count))

    def refused(self) -> bytes:
        """Answer with an exception response."""
        return self.request.adu(bytes([self.request.function | 0x80]) + self.any_of(*range(12)))


ACCIDENTS: tuple[Callable[[FrameDamage], bytes], ...] = (
    FrameDamage.flipped,
    FrameDamage.inserted,
    FrameDamage.mislengthed,
    FrameDamage.miscounted,
    FrameDamage.refused,
    lambda x: x.adu[: x.at],
    lambda x: x.adu + x.junk(1, 30),
    lambda x: x.junk(1, 300),
    lambda x: x.stale + x.adu,
    lambda x: x.stale,
    lambda x: x.rng.choice((b"\0\0", b"\xff\xff", x.rng.randbytes(2))) + x.adu[2:],
    lambda x: x.adu[:6] + x.any_of(0, 255) + x.adu[7:],
    lambda x: x.adu[:7] + x.any_of(4, 6, 16, 23, 0, 0x2B) + x.adu[8:],
    lambda x: x.adu[:8] + x.any_of(x.adu[8] - 1, x.adu[8] + 1, x.adu[8] + 2) + x.adu[9:],
    lambda x: x.request.adu(x.adu[7:] + x.junk(1, 9)),
    lambda x: x.request.adu(x.junk(0, 250)),
)


def damaged(rng: random.Random, request: Request, adu: bytes, stale: bytes) -> bytes:
    """The frame ``adu`` after a random damage; some leave it unchanged."""
    return rng.choice(ACCIDENTS)(FrameDamage(rng, request, adu, stale))


def sliced(rng: random.Random, stream: bytes) -> list[bytes]:
    """The stream in one piece, or in pieces as a network may deliver it."""
    if rng.random() < 0.7 or len(stream) < 2:
        return [stream]
    cuts = sorted(rng.randrange(1, len(stream)) for _ in range(rng.randint(1, 5)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
