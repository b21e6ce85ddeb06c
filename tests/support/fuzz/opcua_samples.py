"""Variables of a real OPC UA server that hold anything: any type, any status, any time; read by the driver.

The claim is that of :mod:`tests.support.fuzz.mapped_devices`, with the server's own DataValues as the truth.
"""

# asyncua re-exports without saying so, and its NewTypes of numbers and times take plain ones.
# mypy: disable-error-code="attr-defined, arg-type"

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf, isfinite, nan
from typing import Any

from asyncua import ua

from core.devices import Measurement, Quality
from drivers.converter import WiredConverter
from drivers.converters.opcua import OpcUaWire
from drivers.exchange import TIMING, Exchanges
from drivers.fencing import Fence
from drivers.opcua import OpcUaSession
from drivers.readings import ReadingCheck
from tests.support.drivers import ManualClock
from tests.support.fuzz.findings import Findings
from tests.support.fuzz.register_oracle import believable, instant, same
from tests.support.opcua_server import SAMPLED_AT, SAYS, FakeConverter

MAX_AGE_S = 12.0
_V = ua.VariantType
_STRANGE: tuple[tuple[Any, Any], ...] = (
    (nan, _V.Double), (inf, _V.Double), (-inf, _V.Float), (1e308, _V.Double), (-0.0, _V.Double), (5e-324, _V.Double),
    (7, _V.Int64), (2**64 - 1, _V.UInt64), (-1, _V.Int16), (1.5, _V.Float), (True, _V.Boolean), (False, _V.Boolean),
    ("4.0", _V.String), (b"\0\1", _V.ByteString), (datetime(2018, 6, 21), _V.DateTime), ([4.0, 5.0], _V.Double),
    ([], _V.Double), (None, _V.Null),
)  # fmt: skip
_STATUS = (0x80000000, 0x80320000, 0x40000000, 0x408F0000, 0x00960000, 0x00A60000, 0xC0000000)
"""Bad, bad and why, uncertain, uncertain and why, good with a reason (twice), reserved."""


@dataclass
class ServedValue:
    """Value of one variable on the server, with type, status and age."""

    value: Any
    type: ua.VariantType
    status: int = 0
    age_s: float | None = 0.0

    @classmethod
    def of(cls, name: str) -> "ServedValue":
        """A plausible value."""
        return cls(int(SAYS[name]), _V.UInt32) if name == "state" else cls(float(SAYS[name]), _V.Double)

    @classmethod
    def by(cls, rng: random.Random, name: str) -> "ServedValue":
        """A plausible value, or something strange in its place."""
        served, chance = cls.of(name), rng.random()
        if chance < 0.06:
            served.value, served.type = rng.choice(_STRANGE)
        elif chance < 0.09:
            served.status = rng.choice(_STATUS)
        elif chance < 0.12:
            served.age_s = rng.choice((None, 11.0, 13.0, 3600.0, -3600.0, 1e9))
        elif chance < 0.15 and name != "state":
            served.value *= rng.choice((-1.0, 1000.0, 0.001, 1e30))
        return served

    def set_boolean(self, value: bool) -> None:
        """Replace it by a Boolean."""
        self.value, self.type = value, _V.Boolean

    @property
    def source_at(self) -> datetime | None:
        return None if self.age_s is None else SAMPLED_AT - timedelta(seconds=self.age_s)

    @property
    def data(self) -> ua.DataValue:
        at = self.source_at
        return ua.DataValue(ua.Variant(self.value, self.type), ua.StatusCode(self.status), SourceTimestamp=at)

    @property
    def number(self) -> float | None:
        """The value as a number, None if it is none: a bool, a text, a list or a date is no power."""
        good = self.status >> 30 == 0
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        return float(self.value) if good and is_number and isfinite(self.value) else None


def fuzz_opcua(rng: random.Random, readings: int) -> Findings:
    """Readings of a converter whose server returns strange values, each by a driver with no earlier clock."""
    found = Findings()
    with FakeConverter().served() as fake:

        async def main() -> None:
            async with OpcUaSession(fake.url, None, TIMING) as session:
                clock = ManualClock()
                served: dict[str, ServedValue] = {}
                show(fake, served)
                for _ in range(readings):
                    gauge, turns = ReadingCheck("n7", 400.0, clock, 15.0), Exchanges("n7", clock, TIMING)
                    converter = WiredConverter(OpcUaWire(session), gauge, turns, fence=Fence(7))
                    served |= {name: ServedValue.by(rng, name) for name in SAYS}
                    found.tried += 1
                    try:
                        reading = await converter.read()
                    except Exception as error:
                        found.crash(f"opcua: {error!r}, {_words(served)}")
                    else:
                        _judge(reading, served, found)
                    clock.move(2.0)

        asyncio.run(main())
    return found


def show(fake: FakeConverter, served: Mapping[str, ServedValue]) -> None:
    """Let the server answer with these values, bypassing its own check of types."""
    space = fake._server.iserver.aspace
    for name in SAYS:
        space.set_attribute_value_callback(fake._nodes[name].nodeid, ua.AttributeIds.Value, _answers(served, name))


def _answers(served: Mapping[str, ServedValue], name: str) -> Callable[..., ua.DataValue]:
    return lambda *_: served[name].data


def _judge(reading: Measurement, served: Mapping[str, ServedValue], found: Findings) -> None:
    dated = ("p_kw", "q_kvar", "v_v")
    values = {name: None if name in dated and s.age_s is None else s.number for name, s in served.items()}
    usable = believable(values, ("p_kw", "q_kvar", "v_v", "clock_s"), 22.5)
    expected = Quality.INVALID
    if usable:
        now_s = values["clock_s"] or 0.0
        ages_s = [now_s - at.timestamp() for name in dated if (at := served[name].source_at)]
        expected = Quality.STALE if max(ages_s) > MAX_AGE_S else Quality.GOOD
    found.accepted += reading.quality is Quality.GOOD
    clock_s, v_v = values["clock_s"], values["v_v"]
    agrees = (
        same(reading.p_kw, values["p_kw"])
        and same(reading.q_kvar, values["q_kvar"])
        and same(reading.v_pu, None if v_v is None else v_v / 400.0)
        and reading.taken_at == (None if clock_s is None else instant(clock_s))
    )
    if reading.quality is not expected or not agrees:
        found.wrong_value(f"opcua: {reading}, expected {expected}, {_words(served)}")


def _words(served: Mapping[str, ServedValue]) -> str:
    return str({name: (s.value, s.type.name, hex(s.status), s.age_s) for name, s in served.items()})
