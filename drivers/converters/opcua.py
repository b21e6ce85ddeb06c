"""A converter behind OPC UA, with the variables of :mod:`drivers.opcua_model`."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress

from core.devices import OperatingState
from drivers.converter import Command, Problems, RawReading, ReadBack, WriteRequest
from drivers.exchange import RefusedError
from drivers.opcua import OpcUaSession, Sample
from drivers.opcua_model import VARIABLES
from drivers.readings import Values

MAX_AGE_S = 12.0
"""Age of a sample by the device's own clock above which it is stale, however good its status."""

_NAMES = tuple(variable.name for variable in VARIABLES)
_NEEDED = ("p_kw", "q_kvar", "clock_s")
_SAMPLED = ("p_kw", "q_kvar", "v_v")
_COMMAND = "enable"


class OpcUaWire:
    """Implements :class:`drivers.converter.Wire` with a session."""

    def __init__(self, session: OpcUaSession) -> None:
        self._session = session

    async def read(self) -> RawReading:
        """Read all variables with status and source time."""
        read = await self._session.read(_NAMES)
        samples = {name: _dated(sample) if name in _SAMPLED else sample for name, sample in read.items()}

        def describe(problems: Problems) -> str:
            problems = {name: samples[name].problem for name in problems if name in samples and samples[name].problem}
            return str({**problems, **problems})

        return RawReading({**dict.fromkeys(_NEEDED), **_values(samples)}, dict(_too_old(samples)), describe)

    async def command(self, request: WriteRequest) -> Command:
        """Write setpoint and epoch first, then ``enable``, on which the device acts; a release does not depend on the
        epoch.
        """
        values = {**request.powers, "writer_epoch": request.writer_epoch}
        command = {_COMMAND: float(request.follow)}

        expected = {**values, **command} if request.follow else command

        async def send() -> None:
            with nullcontext() if request.follow else suppress(RefusedError):
                await self._session.write(values)
            await self._session.write(command)

        async def read_back() -> ReadBack:
            shown = _values(await self._session.read([*values, *command, "state"]))
            return ReadBack(expected, shown, shown.get("state") == OperatingState.REMOTE)

        return Command(send, read_back)


def _values(samples: Mapping[str, Sample]) -> Values:
    return {name: sample.value for name, sample in samples.items()}


def _dated(sample: Sample) -> Sample:
    """The sample; a measured value without a source time is a problem, since it may be of any age."""
    return sample if sample.source_at or sample.problem else Sample(None, None, "no source time")


def _too_old(samples: Mapping[str, Sample]) -> Iterator[tuple[str, str]]:
    """Samples that are too old by the device's clock; our clock may jump."""
    clock = samples.get("clock_s")
    for name in _SAMPLED:
        sample = samples.get(name)
        if sample and clock and sample.source_at and clock.value is not None:
            age_s = clock.value - sample.source_at.timestamp()
            if age_s > MAX_AGE_S:
                yield name, f"{age_s:.0f} s old, allowed {MAX_AGE_S:g} s"
