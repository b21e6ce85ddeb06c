"""The hash chain of an audit trail: every line carries its number and a hash over itself and the hash before.

A line ends with ``"line": n, "hash": h``: h is SHA-256 of the hash before it, as text, and of the line without its
hash. The first hash before it is that of everything that stands before the chain: nothing, or the lines of a version
without chain. So a line that was changed, removed, moved or added is found, if not all after it were written anew;
that, and a trail whose end was cut off, is found by a head that is kept elsewhere.

It goes on from one part of a trail to the next.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256

from controller.record.audit_lines import complete_line

_SEALED = re.compile(rb'(\{.*), "hash": "([0-9a-f]{64})"\}\n?', re.DOTALL)
_NUMBERS = re.compile(rb'\{"seq": (\d+), .*, "line": (\d+)', re.DOTALL)


@dataclass(frozen=True)
class AuditHead:
    """The end of a chain: number and hash of its last line, and the highest number ``seq`` so far."""

    line: int
    hash: str
    seq: int


@dataclass(frozen=True)
class ChainFault:
    """The first line at which a chain is broken; ``line`` is None if it is not known which."""

    line: int | None
    text: str


def sealed(body: bytes, head: AuditHead, seq: int) -> tuple[bytes, AuditHead]:
    """The next line of a chain, and its head.

    Args:
        body: a JSON object that ends with its number in the chain.
    """
    digest = _digest(head.hash, body)
    line = body[:-1] + b', "hash": "' + digest.encode() + b'"}\n'
    return line, AuditHead(head.line + 1, digest, max(seq, head.seq))


@dataclass
class ChainWalk:
    """What the lines of a trail show, one after the other.

    Attributes:
        first: number of the first line with a hash; None without a chain.
        head: the line with the highest number; its ``seq`` is the highest of all lines, with a hash or without.
        unchained: complete lines before the chain.
        fragments: incomplete lines, which a full disk or a death leaves behind; they are no part of the chain.
        fault: the first one.
        ends_whole: whether the last line has its end.
        from_start: whether the lines are those of the whole trail.
        asked: heads that are known from elsewhere.
        met: those whose line is there, and whether it has their hash.
    """

    first: int | None = None
    head: AuditHead = AuditHead(0, sha256().hexdigest(), 0)
    unchained: int = 0
    fragments: int = 0
    fault: ChainFault | None = None
    ends_whole: bool = True
    from_start: bool = True
    asked: Collection[AuditHead] = ()
    met: dict[AuditHead, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before, self._previous, self._next = sha256(), "", 1
        self._torn = False

    def add(self, line: bytes) -> None:
        """Take the next line of the trail."""
        self.ends_whole = line.endswith(b"\n")
        form = _SEALED.fullmatch(line)
        numbers = _NUMBERS.fullmatch(form[1]) if form else None
        if form and numbers:
            self._chained(form[1] + b"}", form[2].decode(), int(numbers[2]), int(numbers[1]))
        else:
            self._other(line)

    def _chained(self, body: bytes, digest: str, number: int, seq: int) -> None:
        if self.first is None:
            self._begin(number)
        known = bool(self._previous)
        if number != self._next:
            self._blame(*_misnumbered(self._next, number, torn=self._torn))
        elif known and digest != _digest(self._previous, body):
            self._blame(number, f"line {number} was changed")
        self.met.update({head: digest == head.hash for head in self.asked if head.line == number})
        self._previous, self._next, self._torn = digest, number + 1, False
        seq = max(seq, self.head.seq)
        self.head = AuditHead(number, digest, seq) if number > self.head.line else replace(self.head, seq=seq)

    def _begin(self, number: int) -> None:
        """The first line of the chain: what stands before it is part of its hash, unless it is an older part's."""
        self.first = number
        if number == 1:
            self._previous = self._before.hexdigest()
        elif not self.from_start:
            self._next = number

    def _other(self, line: bytes) -> None:
        """A line without hash: of an older version, or a fragment, or foreign."""
        values = complete_line(line)
        if values and isinstance(seq := values.get("seq"), int):
            self.head = replace(self.head, seq=max(seq, self.head.seq))
        if self.first is None:
            self._before.update(line)
            self.unchained += values is not None
        elif values is not None:
            self._blame(self._next, f"after line {self._next - 1} stands a line without hash")
        self.fragments += values is None and bool(line.strip())
        self._torn |= values is None

    def _blame(self, line: int, text: str) -> None:
        self.fault = self.fault or ChainFault(line, text)

    @property
    def unsealed(self) -> AuditHead:
        """The head for the first line of a chain after the lines so far; an incomplete last one gets its end first."""
        before = self._before.copy()
        if not self.ends_whole:
            before.update(b"\n")
        return replace(self.head, hash=before.hexdigest())


def walk(lines: Iterable[bytes], asked: Collection[AuditHead] = (), *, from_start: bool = True) -> ChainWalk:
    """Walk over the lines of a trail; arguments as in :class:`ChainWalk`."""
    found = ChainWalk(asked=asked, from_start=from_start)
    for line in lines:
        found.add(line)
    return found


def _misnumbered(expected: int, found: int, *, torn: bool) -> tuple[int, str]:
    if found < expected:
        return found, f"line {found} stands again after line {expected - 1}, or was moved"
    if found == expected + 1:
        return expected, f"line {expected} {'is torn' if torn else 'is missing'}"
    return expected, f"lines {expected} to {found - 1} {'are torn or missing' if torn else 'are missing'}"


def _digest(previous: str, body: bytes) -> str:
    return sha256(previous.encode() + body).hexdigest()
