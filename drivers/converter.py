"""A converter of any kind: one sequence for every reading, and one for every command.

    check     the setpoint against the rating, and our epoch against the writer that the device reports
    refuse    what must not be sent: REJECTED, and nothing is sent
    send      a request without an answer may still be executed
    verify    read back: VERIFIED, REJECTED or UNKNOWN    :meth:`drivers.exchange.Exchanges.write_and_verify`

A release skips the checks. If the device refuses it, it is repeated with the epoch that the device itself reports.

A kind of converter is a :class:`Wire`: it reads values, and encodes a setpoint for its device. It does not decide on
the outcome of a command.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from core.devices import ConverterStatus, Measurement, Outcome, Quality, Setpoint
from core.errors import GridlabError
from drivers.exchange import ExchangeError, Exchanges
from drivers.fencing import Fence
from drivers.readings import ReadingCheck, Values, converter_status
from drivers.setpoints import check_setpoint, setpoint_held

Problems = Mapping[str, str]
"""Name of a value → description of its problem."""


@dataclass(frozen=True)
class RawReading:
    """Values that a device returned, by canonical name, before they are checked.

    Attributes:
        values: None is "not available".
        stale: values that are right but old.
        describe: formats problems for the log, with details that only the wire knows.
    """

    values: Values
    stale: Problems = field(default_factory=dict)
    describe: Callable[[Problems], str] = str


@dataclass(frozen=True)
class WriteRequest:
    """A setpoint for ``device``, or a release (None), by the writer of that epoch."""

    device: str
    setpoint: Setpoint | None
    writer_epoch: int

    @property
    def follow(self) -> bool:
        """Whether the device is to follow a setpoint."""
        return self.setpoint is not None

    @property
    def powers(self) -> dict[str, float]:
        """The setpoint by canonical name: ``p_setpoint_kw``, ``q_setpoint_kvar``, ``lease_s``; empty for a release."""
        if self.setpoint is None:
            return {}
        p_kw, q_kvar, lease_s = self.setpoint.p_kw, self.setpoint.q_kvar, self.setpoint.lease_s
        return {"p_setpoint_kw": p_kw, "q_setpoint_kvar": q_kvar, "lease_s": lease_s}


@dataclass(frozen=True)
class ReadBack:
    """What a device holds after a command.

    Attributes:
        expected: values that it must hold.
        remote: whether it follows setpoints; None if it does not report this.
    """

    expected: Mapping[str, float]
    values: Values
    remote: bool | None


@dataclass(frozen=True)
class Command:
    """How to send a request, and how to read back what the device then holds; both raise ExchangeError."""

    send: Callable[[], Awaitable[None]]
    read_back: Callable[[], Awaitable[ReadBack]]


class Wire(Protocol):
    """The protocol of one kind of converter."""

    async def read(self) -> RawReading:
        """Read all values.

        Raises:
            ExchangeError: it failed.
        """
        ...

    async def command(self, request: WriteRequest) -> Command:
        """Prepare what to send; nothing is sent yet, unless preparing takes a reading.

        Raises:
            ExchangeError: that reading failed.
            GridlabError: the device cannot be sent this request.
        """
        ...


class WiredConverter:
    """Implements :class:`core.devices.Converter` over a wire; ``status`` is of the last reading, None if it failed.

    Attributes:
        fence: our epoch among those of all that ever wrote to the device.
    """

    def __init__(self, wire: Wire, check: ReadingCheck, exchanges: Exchanges, fence: Fence) -> None:
        self.name, self.fence = check.device, fence
        self.status: ConverterStatus | None = None
        self._wire, self._check, self._exchanges = wire, check, exchanges

    async def read(self) -> Measurement:
        """Read all values; a reading with problems is INVALID, one that is only old is STALE."""
        try:
            async with self._exchanges.attempt():
                reading = await self._wire.read()
        except ExchangeError:
            self.status = None
            return self._check.failed()
        self.status = converter_status(reading.values)
        problems = dict(self._check.problems(reading.values))
        reported = {**reading.stale, **problems}
        self._exchanges.report(reading.describe(reported) if reported else None)
        quality = Quality.INVALID if problems else Quality.STALE if reading.stale else Quality.GOOD
        return self._check.measurement(reading.values, quality)

    async def write(self, setpoint: Setpoint) -> Outcome:
        """Write a setpoint; verified if the device holds it and follows it."""
        try:
            check_setpoint(self.name, setpoint, self._check.s_max_kva)
            self.fence.check(self.name, self.status)
        except GridlabError as error:
            return self._exchanges.refuse(error)
        outcome = await self._execute(setpoint, self.fence.epoch)
        if outcome is Outcome.REJECTED and self.fence.yields_to_the_highest(self.status):
            outcome = await self._execute(setpoint, self.fence.epoch)
        if outcome is Outcome.VERIFIED:
            self.fence.held()
        return outcome

    async def release(self) -> Outcome:
        """Release the device, whoever its writer is, also just after a failed exchange; verified if it no longer
        follows setpoints.
        """
        outcome = await self._execute(None, epoch := self.fence.epoch)
        if outcome is not Outcome.REJECTED:
            return outcome
        await self.read()
        reported = self.status.writer_epoch if self.status else None
        return outcome if reported is None or reported == epoch else await self._execute(None, reported)

    async def _execute(self, setpoint: Setpoint | None, epoch: int) -> Outcome:
        request = WriteRequest(self.name, setpoint, epoch)
        try:
            command = await self._wire.command(request)
        except ExchangeError:
            return Outcome.UNKNOWN
        except GridlabError as error:
            return self._exchanges.refuse(error)

        async def verify() -> bool:
            shown = await command.read_back()
            obeys = shown.remote is None or shown.remote is request.follow
            return obeys and setpoint_held(shown.expected, shown.values, self._check.s_max_kva)

        return await self._exchanges.write_and_verify(command.send, verify, urgent=not request.follow)
