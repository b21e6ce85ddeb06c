"""What was done to a world and when: the part of the truth that neither plant nor service is asked for."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from math import inf

from controller.process.modes import Mode
from realtime.timing import LEASE_S

LINK = ("down", "black_hole", "garbage", "cut", "late_write")
BLINDING = ("down", "black_hole", "garbage", "cut", "sentinel", "nan", "frozen")
"""No good reading comes while one of them lasts."""
FOREIGN = ("foreign_write", "twin_write")
"""Another writer with a higher fencing epoch, or with the very same one."""
DATA = ("sentinel", "nan")
"""Not to be seen in a device that was frozen before."""
DEAF = ("frozen", "ignore_writes")
"""Frames are judged that the device never took notice of."""
WHOLE_ADDRESS = ("down", "black_hole")
ADDRESSES = (
    frozenset({"n3_converter", "n4_converter"}),
    frozenset({"n5_converter"}),
    frozenset({"n1_meter", "n3_meter", "n4_meter", "n5_meter"}),
)
CONVERTERS = {"n3_converter": "N3", "n4_converter": "N4", "n5_converter": "N5"}
NEVER_S = -1e9
LATE_S = 30.0
"""How much later than it was sent an answer may be read on a busy machine: a cycle."""
SHY_S = 30.0
"""Since a link healed: drivers leave a silent address alone for a second of real time, which may be long here."""


@dataclass(frozen=True)
class Fault:
    """A fault by the plant's name."""

    name: str
    device: str

    @property
    def mates(self) -> Set[str]:
        """All devices at its address."""
        return next(devices for devices in ADDRESSES if self.device in devices)

    @property
    def disturbs(self) -> Set[str]:
        """Devices that may be written otherwise than by a plan while it lasts."""
        if self.name in LINK:
            return self.mates
        return {self.device, self.device.replace("meter", "converter")}

    @property
    def blinds(self) -> Set[str]:
        """Devices of which nothing is learned while it lasts."""
        if self.name not in BLINDING:
            return frozenset()
        return self.mates if self.name in WHOLE_ADDRESS else {self.device}


@dataclass
class Ledger:
    """Times are virtual seconds.

    Attributes:
        faults: those that last, and since when.
        commanded: the highest mode that an operator and every stop since have left.
        attended_s: of the last cycle that may have written.
        active_s: since when the mode is ACTIVE without a break; None while it is not.
        shaken_s: when something last happened to the service as a whole.
        stalls_s: when the machine was so busy that an answer may have come later than it was sent.
        latest: fencing epoch that service or guardian have used so far, by device.
        epochs: of the present writer, by device, since its first frame there.
        unwritten: devices that this process has not written yet.
        released: devices that the guardian has released, on record or not, or may have while the service did, and when
            each first followed a setpoint again: that may come in several frames of one moment. One of the epoch of the
            release (``fenced``) cannot be told from none once its lease has ended.
        rungs: of the last cycle, by device.
        intruded: devices that have followed somebody else since the last cycle, and the epoch of that writer.
        healthy_polls: readings of each device since it was last blind or the process began; a request that still waits
            when its link heals may be answered then.
    """

    faults: dict[Fault, float] = field(default_factory=dict)
    commanded: Mode = Mode.MONITOR
    attended_s: float = NEVER_S
    active_s: float | None = None
    shaken_s: float = 0.0
    stalls_s: list[float] = field(default_factory=list)
    latest: dict[str, int] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    unwritten: set[str] = field(default_factory=set)
    released: dict[str, float] = field(default_factory=dict)
    fenced: dict[str, int] = field(default_factory=dict)
    intruded: dict[str, int] = field(default_factory=dict)
    rungs: dict[str, str] = field(default_factory=dict)
    healthy_polls: dict[str, int] = field(default_factory=dict)
    _seen_s: dict[Fault, float] = field(default_factory=dict)
    _healed_s: dict[str, float] = field(default_factory=dict)
    _foreign_until_s: dict[str, float] = field(default_factory=dict)
    _disturbed_s: dict[str, float] = field(default_factory=dict)
    _lied: set[str] = field(default_factory=set)

    def begin(self, fault: Fault, at_s: float) -> None:
        """It lasts from now on."""
        self.faults.setdefault(fault, at_s)
        self._touch(fault, at_s)

    def end(self, fault: Fault, at_s: float) -> None:
        """It is over."""
        del self.faults[fault]
        self._seen_s.pop(fault, None)
        if fault.name in LINK:
            self._healed_s.update(dict.fromkeys(fault.mates, at_s))
            self.healthy_polls.update(dict.fromkeys(fault.mates & CONVERTERS.keys(), 1))
        if fault.name == "frozen":
            behind = [other for other in self.faults if other.device == fault.device and other.name in DATA]
            self.faults.update(dict.fromkeys(behind, at_s))
        if fault.name in FOREIGN:
            self._foreign_until_s[fault.device] = at_s + LEASE_S
        self._touch(fault, at_s)

    def shaken(self, at_s: float) -> None:
        """Something happened to all: no device is as it was."""
        self.shaken_s = at_s

    def stalled(self, at_s: float) -> None:
        """The machine was busy."""
        self.stalls_s.append(at_s)
        self.shaken(at_s)

    def stalled_about(self, at_s: float) -> bool:
        """Whether an answer that was sent at this moment may have been read within a cycle after it."""
        return any(at_s <= stall_s <= at_s + LATE_S for stall_s in self.stalls_s)

    def connected(self) -> None:
        """The service has new connections, or none."""
        self.rungs.clear()
        self.intruded.clear()
        self._seen_s.clear()
        self.epochs.clear()

    def born(self) -> None:
        """A new process has read nothing yet."""
        self.healthy_polls.clear()
        self.unwritten = set(CONVERTERS)

    def read(self, at_s: float) -> None:
        """All devices were asked."""
        blind = set(self.blind_since())
        unreached = {device for fault in self.faults if fault.name in LINK for device in fault.blinds}
        unreached |= {device for device, healed_s in self._healed_s.items() if at_s - healed_s <= SHY_S}
        for fault in self.faults:
            if fault.device not in unreached:
                self._seen_s.setdefault(fault, at_s)
        self.healthy_polls = {name: 0 if name in blind else self.healthy_polls.get(name, 0) + 1 for name in CONVERTERS}

    def changed(self, mode: Mode, at_s: float) -> None:
        """The mode that is in force from now on, over new connections."""
        if mode is not Mode.ACTIVE:
            self.active_s = None
        elif self.active_s is None:
            self.active_s = at_s
        self.shaken(at_s)
        self.connected()

    def blind_since(self) -> Mapping[str, float]:
        """Devices of which nothing is learned, and since when; what a frozen one says is news to who reads it first."""
        found: dict[str, float] = {}
        for fault, began_s in self.faults.items():
            frozen_s = self.faults.get(Fault("frozen", fault.device), inf)
            since_s = self._seen_s.get(fault) if fault.name == "frozen" else began_s
            if since_s is None or (fault.name in DATA and frozen_s <= began_s):
                continue
            found.update({device: min(found.get(device, since_s), since_s) for device in fault.blinds})
        return found

    def has(self, device: str, *names: str) -> bool:
        """Whether the device has one of these faults."""
        return any(fault.device == device and fault.name in names for fault in self.faults)

    def struck(self, device: str, at_s: float) -> bool:
        """Whether a fault of the device began in the cycle of this moment, after whatever it had done."""
        return any(fault.device == device and began_s >= at_s for fault, began_s in self.faults.items())

    def foreign(self, device: str, at_s: float) -> bool:
        """Whether the device may hold a setpoint of somebody else."""
        return self.has(device, *FOREIGN) or at_s <= self._foreign_until_s.get(device, NEVER_S)

    def lied(self, device: str) -> bool:
        """Whether the device has ever been anything but obedient and honest: its stores may be wrong for good."""
        return device in self._lied

    def calm_s(self, device: str, at_s: float) -> float:
        """For how long nothing may have disturbed the device."""
        if any(device in fault.disturbs for fault in self.faults):
            return 0.0
        return at_s - max(self.shaken_s, self._disturbed_s.get(device, NEVER_S))

    def _touch(self, fault: Fault, at_s: float) -> None:
        self._disturbed_s.update(dict.fromkeys(fault.disturbs, at_s))
        if fault.name not in LINK:
            self._lied |= fault.disturbs
