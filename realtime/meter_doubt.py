"""Doubts about readings of voltage, and what is remembered of each device from sample to sample."""

from dataclasses import dataclass, replace
from enum import StrEnum

RESOLUTION_PU = 0.0025
"""Of a device that has shown no change yet: 1 V of 400 V."""
MOVED_PU, MOVED_STEPS = 0.0015, 1.5
"""How far the grid must move while a reading stands: so much, and so many steps of the device's resolution."""
SAME = 4
"""Readings in a row that must be the same."""
SIGNS, AGREED = 2, 20
"""Samples in a row that bring a doubt about, and that end it: 1 and 10 min."""


class MeterDoubtKind(StrEnum):
    """Kinds of doubt about a device's voltage.

    OFF: it contradicts the grid's model and all other voltages. FROZEN: it stands still while the grid moves, although
    the device's clock runs. EXCHANGED: its readings are those of another node; then nothing that it measures is used.
    """

    OFF = "voltage_off"
    FROZEN = "voltage_frozen"
    EXCHANGED = "exchanged"


@dataclass(frozen=True)
class MeterDoubt:
    """A doubt about a device since ``since_s`` (monotonic); ``off_pu``: its voltage less the believed one."""

    kind: MeterDoubtKind
    off_pu: float
    since_s: float
    text: str


@dataclass(frozen=True)
class Seen:
    """One reading of voltage, with what the others say it should be, and whether least squares set it aside."""

    v_pu: float
    expected_pu: float
    std_pu: float
    wrong: bool

    @property
    def off_pu(self) -> float:
        """The reading less what the others say."""
        return self.v_pu - self.expected_pu


@dataclass(frozen=True)
class DeviceMemory:
    """What is remembered of a device's voltage.

    Attributes:
        last_pu: last reading.
        same: number of readings in a row that were the same.
        low_pu, high_pu: range of what they should have been.
        resolution_pu: smallest change that was ever seen.
        signs, agreed: samples in a row that were wrong, and that agreed with the others.
        doubt: the standing one.
    """

    last_pu: float | None = None
    same: int = 0
    low_pu: float = 0.0
    high_pu: float = 0.0
    resolution_pu: float = RESOLUTION_PU
    signs: int = 0
    agreed: int = 0
    doubt: MeterDoubt | None = None

    @property
    def frozen(self) -> bool:
        """Whether the reading stands although the grid moves."""
        needed_pu = max(MOVED_PU, MOVED_STEPS * self.resolution_pu)
        return self.same >= SAME and self.high_pu - self.low_pu > needed_pu

    def after(self, seen: Seen, agreement_pu: float, now_s: float) -> "DeviceMemory":
        """The memory with one more reading; ``agreement_pu``: a difference that nobody minds."""
        known = self._moved(seen)
        wrong = seen.wrong or known.frozen
        agrees = not wrong and known.same < SAME and abs(seen.off_pu) <= max(agreement_pu, 3 * seen.std_pu)
        known = replace(known, signs=self.signs + 1 if wrong else 0, agreed=self.agreed + 1 if agrees else 0)
        if known.doubt is not None and known.doubt.kind is MeterDoubtKind.EXCHANGED:
            return known
        if known.frozen:
            return known.doubted(MeterDoubtKind.FROZEN, seen.off_pu, now_s, known._standing(seen))
        if seen.wrong and (known.signs >= SIGNS or known.doubt):
            return known.doubted(MeterDoubtKind.OFF, seen.off_pu, now_s, _off(seen))
        return replace(known, doubt=None) if known.agreed >= AGREED else known

    def doubted(self, kind: MeterDoubtKind, off_pu: float, now_s: float, text: str) -> "DeviceMemory":
        """With a doubt; one of the same kind keeps its begin."""
        since_s = self.doubt.since_s if self.doubt is not None and self.doubt.kind is kind else now_s
        return replace(self, doubt=MeterDoubt(kind, off_pu, since_s, text))

    def heard_again(self) -> "DeviceMemory":
        """The memory when those that it was compared with were no witnesses: one agreement ends a doubt."""
        off = self.doubt is not None and self.doubt.kind is MeterDoubtKind.OFF
        return replace(self, agreed=AGREED - 1) if off else self

    def _moved(self, seen: Seen) -> "DeviceMemory":
        if self.last_pu == seen.v_pu:
            low, high = min(self.low_pu, seen.expected_pu), max(self.high_pu, seen.expected_pu)
            return replace(self, same=self.same + 1, low_pu=low, high_pu=high)
        changed_pu = RESOLUTION_PU if self.last_pu is None else abs(seen.v_pu - self.last_pu)
        return replace(
            self,
            last_pu=seen.v_pu,
            same=1,
            low_pu=seen.expected_pu,
            high_pu=seen.expected_pu,
            resolution_pu=min(self.resolution_pu, changed_pu),
        )

    def _standing(self, seen: Seen) -> str:
        moved_pu = self.high_pu - self.low_pu
        return f"stands at {seen.v_pu:.4f} p.u. for {self.same} readings, while the grid moved by {moved_pu:.4f} p.u."


def _off(seen: Seen) -> str:
    return (
        f"reads {seen.v_pu:.4f} p.u., {seen.off_pu:+.4f} p.u. from {seen.expected_pu:.4f} by grid model and neighbours"
    )
