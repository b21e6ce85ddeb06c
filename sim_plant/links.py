"""The link to the devices at one address: its active faults and their effect on messages. Uses no socket."""

from collections.abc import Mapping
from random import Random

from sim_plant.faults import FaultError
from sim_plant.link_faults import (
    ANSWER_FAULTS,
    NUMBERS,
    REQUEST_FAULTS,
    Framing,
    LinkFault,
    Piece,
    number_allowed,
    pieces,
)


class Link:
    """Active faults by device, and the answers that ``late`` and ``replay`` repeat.

    Args:
        units: device → unit; None where messages name none.
        seed: seed of ``garbage`` and ``corrupt``; their bytes depend on it, the devices and the number of answers so
            far.
    """

    def __init__(self, framing: Framing, units: Mapping[str, int | None], seed: int) -> None:
        self.framing, self._units = framing, units
        self._key, self._answers = f"{seed} {' '.join(units)}", 0
        self._active: dict[tuple[LinkFault, str], float] = {}
        self._last: dict[int | None, bytes] = {}

    @property
    def fault_free(self) -> bool:
        """Whether no fault is active."""
        return not self._active

    def switch(self, fault: LinkFault, device: str, *, on: bool, number: float | None) -> None:
        """Begin or end a fault.

        Raises:
            FaultError: the link cannot have it, or not with this number.
        """
        if fault in self.framing.impossible:
            raise FaultError(f"{device}: asked fault {fault}, allowed for Modbus without TLS")
        if number is not None and not number_allowed(fault, number):
            allowed = "a number > 0" if fault in NUMBERS else "no number"
            raise FaultError(f"{device}: asked fault {fault} with {number}, allowed {allowed}")
        self._last.clear()
        if on:
            self._active[fault, device] = NUMBERS.get(fault, 0.0) if number is None else number
        else:
            self._active.pop((fault, device), None)

    def number(self, fault: LinkFault) -> float | None:
        """The number of a fault of the whole address; None if it is not active."""
        return next((number for (active, _), number in self._active.items() if active is fault), None)

    def request_fault(self, request: bytes) -> tuple[LinkFault | None, float]:
        """The fault that acts on a request, and its number."""
        if self.number(LinkFault.BLACK_HOLE) is not None:
            return LinkFault.BLACK_HOLE, 0.0
        fault, number = self._first(REQUEST_FAULTS, request)
        if fault is LinkFault.LATE_WRITE and not self.framing.writes(request):
            return None, 0.0
        return fault, number

    def answer_pieces(self, answer: bytes) -> list[Piece]:
        """The pieces that the client gets when the server sends this answer."""
        if self.number(LinkFault.BLACK_HOLE) is not None:
            return []
        fault, number = self._first(ANSWER_FAULTS, answer)
        unit = self.framing.unit(answer)
        self._answers += 1
        if fault is LinkFault.LATE:
            last, self._last[unit] = self._last.get(unit), answer
            return [] if last is None else [Piece(last)]
        if fault is LinkFault.REPLAY:
            old = self._last.setdefault(unit, answer)
            return [Piece(answer)] if old is answer else [Piece(old), Piece(answer)]
        return list(pieces(fault, number, answer, Random(f"{self._key} {self._answers}")))

    def _first(self, faults: tuple[LinkFault, ...], message: bytes) -> tuple[LinkFault | None, float]:
        unit = self.framing.unit(message)
        concerned = [device for device, device_unit in self._units.items() if device_unit == unit]
        found = ((f, self._active[f, d]) for f in faults for d in concerned if (f, d) in self._active)
        return next(found, (None, 0.0))
