"""A converter behind OPC UA, with the variables of :mod:`drivers.opcua_model`."""

from collections.abc import Iterator, Mapping

from core.devices import Measurement, Outcome, Quality, Setpoint
from core.errors import GridlabError
from drivers.exchange import ExchangeError, Exchanges
from drivers.opcua import OpcUaSession, Sample
from drivers.opcua_model import VARIABLES
from drivers.readings import Gauge, Values, converter_status
from drivers.setpoints import check_setpoint, check_writer, holds
from drivers.status import ConverterStatus, OperatingState

MAX_AGE_S = 12.0
"""Of a sample by the device's own clock; an older one is stale, however good its status."""

_NAMES = tuple(variable.name for variable in VARIABLES)
_NEEDED = ("p_kw", "q_kvar", "clock_s")
_SAMPLED = ("p_kw", "q_kvar", "v_v")
_COMMAND = "enable"


class OpcUaConverter:
    """See :class:`core.devices.Converter`. ``status`` is that of the last reading, None if it failed."""

    def __init__(self, session: OpcUaSession, gauge: Gauge, exchanges: Exchanges, writer_epoch: int) -> None:
        self.name = gauge.device
        self.status: ConverterStatus | None = None
        self._session, self._gauge, self._exchanges, self._epoch = session, gauge, exchanges, writer_epoch

    async def read(self) -> Measurement:
        """One reading of everything."""
        try:
            async with self._exchanges.attempt():
                samples = await self._session.read(_NAMES)
        except ExchangeError:
            self.status = None
            return self._gauge.nothing()
        samples = {name: _dated(sample) if name in _SAMPLED else sample for name, sample in samples.items()}
        values = {**dict.fromkeys(_NEEDED), **_values(samples)}
        self.status = converter_status(values)
        old, troubles = dict(_old(samples)), dict(self._gauge.troubles(values))
        troubles |= {name: samples[name].problem for name in troubles if name in samples and samples[name].problem}
        self._exchanges.report(str({**old, **troubles}) if old or troubles else None)
        quality = Quality.INVALID if troubles else Quality.STALE if old else Quality.GOOD
        return self._gauge.measurement(values, quality)

    async def write(self, setpoint: Setpoint) -> Outcome:
        """Verified when the device holds the setpoint and follows it."""
        try:
            check_setpoint(self.name, setpoint, self._gauge.s_max_kva)
        except GridlabError as error:
            return self._exchanges.refuse(error)
        powers = {"p_setpoint_kw": setpoint.p_kw, "q_setpoint_kvar": setpoint.q_kvar, "lease_s": setpoint.lease_s}
        return await self._commanded({**powers, "writer_epoch": self._epoch}, {_COMMAND: 1}, follows=True)

    async def release(self) -> Outcome:
        """Verified when the device no longer follows setpoints."""
        return await self._commanded({"writer_epoch": self._epoch}, {_COMMAND: 0}, follows=False)

    async def _commanded(self, values: Mapping[str, float], command: Mapping[str, float], *, follows: bool) -> Outcome:
        try:
            check_writer(self.name, self._epoch, self.status)
        except GridlabError as error:
            return self._exchanges.refuse(error)

        async def send() -> None:
            await self._session.write(values)
            await self._session.write(command)

        async def done() -> bool:
            asked = {**values, **command}
            held = _values(await self._session.read([*asked, "state"]))
            remote = held.get("state") == OperatingState.REMOTE
            return holds(asked, held, self._gauge.s_max_kva) and remote is follows

        return await self._exchanges.settle(send, done)


def _values(samples: Mapping[str, Sample]) -> Values:
    return {name: sample.value for name, sample in samples.items()}


def _dated(sample: Sample) -> Sample:
    """A measurand without a source time may be of any age."""
    return sample if sample.source_at or sample.problem else Sample(None, None, "no source time")


def _old(samples: Mapping[str, Sample]) -> Iterator[tuple[str, str]]:
    """Samples that the device's clock has left behind; it is no matter of our clock, which may jump."""
    clock = samples.get("clock_s")
    for name in _SAMPLED:
        sample = samples.get(name)
        if sample and clock and sample.source_at and clock.value is not None:
            age_s = clock.value - sample.source_at.timestamp()
            if age_s > MAX_AGE_S:
                yield name, f"{age_s:.0f} s old, allowed {MAX_AGE_S:g} s"
