"""summary.json of a closed-loop run as types: what its report needs. Keys that a later command adds are left alone."""

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from controller.report.summary import CompensatedCost, Cost, Described, Part, faults
from controller.service.model_check import ModelCheck
from controller.simulation.accounts import SocBand
from controller.simulation.answers import Referee
from controller.simulation.durations import Cycles, MpcRuns
from controller.simulation.energy_books import EnergyBook
from controller.simulation.events import Event
from controller.simulation.settlement import Account
from controller.simulation.voltage_quality import VoltageQuality
from core.errors import InputError


class LoopSummary(Part):
    """The whole file.

    Attributes:
        margin: to the voltage limits; auto, off or p.u.
        safe: whether each converter was read back in its safe state at the end.
        model_check: the grid model against measured voltages; None where nothing could be compared.
    """

    command: str
    name: str
    created_at: datetime
    config: str
    config_sha256: str
    version: str
    seed: int
    start: datetime
    end: datetime
    interrupted: bool
    coordinated: bool
    margin: str | float
    wall_s: float
    cost_chf: dict[str, CompensatedCost]
    total_cost_chf: Cost
    curtailed_kwh: dict[str, float]
    settlement: dict[str, Account]
    realtime: Cycles
    mpc: MpcRuns
    measured: VoltageQuality
    events: tuple[Event, ...]
    soc: dict[str, SocBand]
    energy_books: dict[str, EnergyBook]
    referee: Referee
    safe: dict[str, bool]
    model_check: ModelCheck | None
    scenario: Described

    @property
    def kind(self) -> str:
        """In a word or two, beside another run."""
        if not self.coordinated:
            return "uncoordinated"
        return f"coordinated, margin {self.margin}" + ("" if isinstance(self.margin, str) else " p.u.")


def parse_loop_summary(data: dict[str, Any], folder: str) -> LoopSummary:
    """The summary of the closed-loop run in ``folder``.

    Raises:
        InputError: with every key that is missing or of a wrong type.
    """
    try:
        return LoopSummary.model_validate(data)
    except ValidationError as error:
        raise InputError(faults(error, f"{folder}/summary.json")) from error
