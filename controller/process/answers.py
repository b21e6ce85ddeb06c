"""Answers of plant and controller to the clock master, as types; other fields of an answer are ignored."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class AnswerModel(BaseModel):
    """Built from a JSON object, or from a dataclass with the same fields."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class DemandTruth(AnswerModel):
    """A converter or a house without measurement noise: demand now, and energy drawn since the plant started."""

    p_kw: float
    energy_kwh: float


class Truth(AnswerModel):
    """The state of the plant at one instant, the answer to ``{"ask": "truth"}``."""

    converters: Mapping[str, DemandTruth]
    houses: Mapping[str, DemandTruth] = {}


class RefereeCounts(AnswerModel):
    """Frames received by all converters, the answer to ``{"ask": "referee"}``; ``rules`` counts violations by rule."""

    frames: int
    refused: int
    violations: int
    rules: Mapping[str, int]


class BatteryAccount(AnswerModel):
    """Final state of an emulated battery (:class:`realtime.emulation.BatteryState`); energies since the start of the
    run.
    """

    soc: float
    charged_kwh: float
    discharged_kwh: float
    estimated_kwh: float
    unexplained_kwh: float
