"""What really happened: every frame at a converter, held against what the audit trails say at that very moment."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.guardian.trail import TRAIL
from controller.record.audit_lines import ATTEMPTED, complete_line
from controller.service.stores import AUDIT
from sim_plant.converter import Refusal
from sim_plant.referee import FrameVerdict, Tally

WIRE_KVA = 2e-3
"""Between a setpoint on record and the same one on the coarsest wire."""

SAFE_KVA = 0j


@dataclass(frozen=True)
class Attempt:
    """An attempt on record; ``s_kva`` None releases."""

    device: str
    s_kva: complex | None


class Trail:
    """Follows a file of JSON lines that grows."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def fresh(self) -> Iterator[Attempt]:
        """Attempts on the disk since the last call; a line without its end is not there yet."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                if (values := complete_line(line)) and values.get("outcome") == ATTEMPTED:
                    yield Attempt(values["device"], _power(values))


@dataclass(frozen=True)
class Sighting:
    """A frame, the setpoint in force before the operation that sent it, and who had announced it."""

    verdict: FrameVerdict
    before_kva: complex
    by_service: bool
    by_guardian: bool


@dataclass
class Witness(Tally):
    """A referee's tally that also remembers what came since :meth:`begin`.

    Attributes:
        deaf: devices that may put a setpoint together from requests of different times.
        late: devices whose frames may be those of an earlier operation.
        on_frame: called with the count of frames since :meth:`begin`.
    """

    folder: Path = Path()
    sightings: list[Sighting] = field(default_factory=list)
    deaf: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    on_frame: Callable[[int], None] = lambda count: None

    def __post_init__(self) -> None:
        self._service, self._guardian = Trail(self.folder / AUDIT), Trail(self.folder / TRAIL)
        self._announced: list[Attempt] = []
        self._earlier: list[Attempt] = []
        self._guarded: list[Attempt] = []
        self._in_force: Mapping[str, complex] = {}

    @property
    def announced(self) -> tuple[Attempt, ...]:
        """What the service has put on record in this operation."""
        self._look()
        return tuple(self._announced)

    def begin(self, in_force: Mapping[str, complex]) -> None:
        """A new operation; ``in_force`` are the setpoints that stand."""
        self._look()
        self._earlier = [*self._earlier, *self._announced][-30:]
        self._announced, self._in_force = [], in_force
        self.sightings = []

    def add(self, verdict: FrameVerdict) -> None:
        """Before the device says anything to its writer."""
        super().add(verdict)
        self._look()
        frame, before = verdict.frame, self._in_force.get(verdict.device, 0j)
        known: tuple[complex, ...] = (before, SAFE_KVA) if verdict.refusal is Refusal.STATE else (before,)
        asked = frame.s_kva if frame.enable else None
        announced = self._announced + (self._earlier if verdict.device in self.late else [])
        if verdict.device in self.deaf:
            known = (before, SAFE_KVA, *(a.s_kva for a in (*self._earlier, *announced) if a.s_kva is not None))
        by_service = any(_announces(a, verdict.device, asked, known) for a in announced)
        by_guardian = asked is None and any(a.device == verdict.device for a in self._guarded)
        self.sightings.append(Sighting(verdict, before, by_service, by_guardian))
        self.on_frame(len(self.sightings))

    def _look(self) -> None:
        self._announced.extend(self._service.fresh())
        self._guarded.extend(self._guardian.fresh())


def _announces(attempt: Attempt, device: str, asked: complex | None, known: tuple[complex, ...]) -> bool:
    """Whether a frame carries an attempt, or one of its two powers beside a ``known`` one where each has its request.

    A device that went safe in between has :data:`SAFE_KVA` for the other one.
    """
    if attempt.device != device or (attempt.s_kva is None) is not (asked is None):
        return False
    if attempt.s_kva is None or asked is None:
        return True
    powers = (attempt.s_kva, *known)
    return _near(asked.real, [s.real for s in powers]) and _near(asked.imag, [s.imag for s in powers])


def _near(value: float, allowed: Sequence[float]) -> bool:
    return any(abs(value - other) <= WIRE_KVA for other in allowed)


def _power(values: Mapping[str, Any]) -> complex | None:
    return None if values["p_kw"] is None else complex(values["p_kw"], values["q_kvar"])
