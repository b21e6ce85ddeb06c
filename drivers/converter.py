"""A converter, whatever wire it hangs on: one sequence for every reading, and one for every command.

    command   check    the setpoint against the rating, our epoch against the writer that the device has told of
              refuse   what must not be sent: REJECTED, and nothing leaves
              answered send; a request that nobody answered may still be executed
              settle   read back: VERIFIED, REJECTED or UNKNOWN    :meth:`drivers.exchange.Exchanges.settle`

A kind of converter is a :class:`Wire`: it reads values, and turns a setpoint into what its device understands. It never
decides what becomes of a command.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from core.devices import ConverterStatus, Measurement, Outcome, Quality, Setpoint
from core.errors import GridlabError
from drivers.exchange import ExchangeError, Exchanges
from drivers.readings import Gauge, Values, converter_status
from drivers.setpoints import check_setpoint, check_writer, holds

Troubles = Mapping[str, str]
"""Name of a value → what is wrong with it."""


@dataclass(frozen=True)
class Said:
    """What a device said of itself, by canonical name.

    Attributes:
        values: None is "not available".
        stale: values that are right but old.
        described: troubles as the log shows them, with what the wire knows of them.
    """

    values: Values
    stale: Troubles = field(default_factory=dict)
    described: Callable[[Troubles], str] = str


@dataclass(frozen=True)
class Asked:
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
    """What a device shows after a command: of ``asked`` it must hold every value.

    ``remote``: it follows setpoints; None where it does not tell.
    """

    asked: Mapping[str, float]
    values: Values
    remote: bool | None


@dataclass(frozen=True)
class Command:
    """How to send what was asked, and how to read back what the device holds; both raise ExchangeError."""

    send: Callable[[], Awaitable[None]]
    held: Callable[[], Awaitable[ReadBack]]


class Wire(Protocol):
    """One kind of converter."""

    async def read(self) -> Said:
        """One reading of everything.

        Raises:
            ExchangeError: it failed.
        """
        ...

    async def command(self, asked: Asked) -> Command:
        """What to send; nothing of it is sent yet.

        Raises:
            ExchangeError: it takes an exchange to know, and that failed.
            GridlabError: the device has no way to be told this.
        """
        ...


class WiredConverter:
    """See :class:`core.devices.Converter`. ``status`` is that of the last reading, None if it failed.

    Args:
        writer_epoch: number of this controller among all that ever wrote to the device.
    """

    def __init__(self, wire: Wire, gauge: Gauge, exchanges: Exchanges, writer_epoch: int) -> None:
        self.name = gauge.device
        self.status: ConverterStatus | None = None
        self._wire, self._gauge, self._exchanges, self._epoch = wire, gauge, exchanges, writer_epoch

    async def read(self) -> Measurement:
        """One reading of everything."""
        try:
            async with self._exchanges.attempt():
                said = await self._wire.read()
        except ExchangeError:
            self.status = None
            return self._gauge.nothing()
        self.status = converter_status(said.values)
        troubles = dict(self._gauge.troubles(said.values))
        found = {**said.stale, **troubles}
        self._exchanges.report(said.described(found) if found else None)
        quality = Quality.INVALID if troubles else Quality.STALE if said.stale else Quality.GOOD
        return self._gauge.measurement(said.values, quality)

    async def write(self, setpoint: Setpoint) -> Outcome:
        """Verified when the device holds the setpoint and follows it."""
        return await self._commanded(setpoint)

    async def release(self) -> Outcome:
        """Verified when the device no longer follows setpoints."""
        return await self._commanded(None)

    async def _commanded(self, setpoint: Setpoint | None) -> Outcome:
        try:
            if setpoint is not None:
                check_setpoint(self.name, setpoint, self._gauge.s_max_kva)
            check_writer(self.name, self._epoch, self.status)
            asked = Asked(self.name, setpoint, self._epoch)
            command = await self._wire.command(asked)
        except ExchangeError:
            return Outcome.UNKNOWN
        except GridlabError as error:
            return self._exchanges.refuse(error)

        async def done() -> bool:
            held = await command.held()
            obeys = held.remote is None or held.remote is asked.follow
            return obeys and holds(held.asked, held.values, self._gauge.s_max_kva)

        return await self._exchanges.settle(command.send, done)
