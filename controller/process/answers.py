"""What plant and controller tell the clock master, as types; whatever else they say is left alone."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """A JSON object, or a dataclass of the same fields."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class ConverterTruth(Answer):
    """A converter without noise: its demand now, and what it has drawn since the plant began."""

    p_kw: float
    energy_kwh: float


class Truth(Answer):
    """The plant at one instant, ``{"ask": "truth"}``."""

    converters: Mapping[str, ConverterTruth]


class Referee(Answer):
    """Frames that all converters received, ``{"ask": "referee"}``; ``rules`` counts violations by rule."""

    frames: int
    refused: int
    violations: int
    rules: Mapping[str, int]


class BatteryAccount(Answer):
    """An emulated battery at the end, :class:`realtime.emulation.BatteryState`; energies since the run began."""

    soc: float
    charged_kwh: float
    discharged_kwh: float
    estimated_kwh: float
    unexplained_kwh: float
