"""The fence between the writers of one device: our epoch there, and whether another writer has taken over.

We write with the epoch of our service, or with the successor of the one that the device reports, so that it is later
both on the ring of :mod:`core.epochs` and as a plain number. A device that compares plain numbers and holds the highest
one refuses every other: there we write with that one. Whatever a device compares, a release is repeated with the epoch
that it reports, so that no writer can prevent it.
"""

from core.devices import ConverterStatus, OperatingState
from core.epochs import LAST, NOBODY, later, successor
from core.errors import GridlabError


class OvertakenError(GridlabError):
    """A converter now follows another writer."""


class Fence:
    """Our epoch at one device.

    Args:
        epoch: of our service.
        found: what the device reported before; None if it was not heard.

    Attributes:
        epoch: with which we write to this device.
    """

    def __init__(self, epoch: int, found: int | None = None) -> None:
        self.epoch = epoch if not found or (later(epoch, found) and epoch > found) else successor(found)
        self._found, self._held = found, False

    def held(self) -> None:
        """The device has accepted our epoch: every other one is from now on another writer's."""
        self._held = True

    def overtaken_by(self, reported: int | None) -> bool:
        """Whether that epoch is neither ours nor the one found before; a device that was restarted reports 0."""
        if reported is None or reported in (NOBODY, self.epoch):
            return False
        if self._held:
            return True
        return later(reported, self.epoch) if self._found is None else reported != self._found

    def used_by_another(self, reported: int | None) -> bool:
        """Before our first write: whether another writer has taken our epoch, also while the device was not heard."""
        return reported == self.epoch != self._found

    def check(self, device: str, status: ConverterStatus | None) -> None:
        """Refuse to send a setpoint to a converter that has reported another writer.

        Raises:
            OvertakenError: it has.
        """
        if status and self.overtaken_by(status.writer_epoch):
            raise OvertakenError(f"{device}: asked as writer {self.epoch}, allowed as writer {status.writer_epoch}")

    def yields_to_the_highest(self, status: ConverterStatus | None) -> bool:
        """After a refusal: whether the device may compare plain numbers, and ours, which is later on the ring, is the
        smaller one. From now on we write with the epoch that it holds: the highest one where it shows none, since the
        highest ``ControllerHb`` of SunSpec reads as "not implemented".
        """
        if self._held or status is None or status.state not in _COMMANDABLE:
            return False
        reported = LAST if status.writer_epoch is None else status.writer_epoch
        if reported <= self.epoch or not later(self.epoch, reported):
            return False
        self.epoch = reported
        return True

    def advance(self) -> None:
        """Take the next epoch, so that a writer of the same epoch learns of us."""
        self.epoch, self._held = successor(self.epoch), False


_COMMANDABLE = (None, OperatingState.SAFE, OperatingState.REMOTE)
