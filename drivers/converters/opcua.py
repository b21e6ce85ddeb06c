"""A converter behind OPC UA, with the variables of :mod:`drivers.opcua_model`."""

from collections.abc import Iterator, Mapping

from core.devices import OperatingState
from drivers.converter import Asked, Command, ReadBack, Said, Troubles
from drivers.opcua import OpcUaSession, Sample
from drivers.opcua_model import VARIABLES
from drivers.readings import Values

MAX_AGE_S = 12.0
"""Of a sample by the device's own clock; an older one is stale, however good its status."""

_NAMES = tuple(variable.name for variable in VARIABLES)
_NEEDED = ("p_kw", "q_kvar", "clock_s")
_SAMPLED = ("p_kw", "q_kvar", "v_v")
_COMMAND = "enable"


class OpcUaWire:
    """See :class:`drivers.converter.Wire`."""

    def __init__(self, session: OpcUaSession) -> None:
        self._session = session

    async def read(self) -> Said:
        """One reading of everything."""
        read = await self._session.read(_NAMES)
        samples = {name: _dated(sample) if name in _SAMPLED else sample for name, sample in read.items()}

        def described(troubles: Troubles) -> str:
            problems = {name: samples[name].problem for name in troubles if name in samples and samples[name].problem}
            return str({**troubles, **problems})

        return Said({**dict.fromkeys(_NEEDED), **_values(samples)}, dict(_old(samples)), described)

    async def command(self, asked: Asked) -> Command:
        """Setpoint and writer first, then the command that makes the device act on them."""
        values = {**asked.powers, "writer_epoch": asked.writer_epoch}
        command = {_COMMAND: float(asked.follow)}

        async def send() -> None:
            await self._session.write(values)
            await self._session.write(command)

        async def held() -> ReadBack:
            everything = {**values, **command}
            shown = _values(await self._session.read([*everything, "state"]))
            return ReadBack(everything, shown, shown.get("state") == OperatingState.REMOTE)

        return Command(send, held)


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
