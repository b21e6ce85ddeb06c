"""summary.json of a closed-loop run as types: what its report needs. Keys that a later command adds are left alone."""

from datetime import datetime

from controller.report.summary import RunSummary
from controller.service.model_check import ModelCheck
from controller.simulation.accounts import SocBand
from controller.simulation.answers import Referee
from controller.simulation.durations import Cycles, MpcRuns
from controller.simulation.energy_books import EnergyBook
from controller.simulation.events import Event
from controller.simulation.settlement import Account
from controller.simulation.voltage_quality import VoltageQuality


class LoopSummary(RunSummary):
    """The whole file.

    Attributes:
        margin: to the voltage limits; auto, off or p.u.
        safe: whether each converter was read back in its safe state at the end.
        model_check: the grid model against measured voltages; None where nothing could be compared.
    """

    start: datetime
    end: datetime
    interrupted: bool
    coordinated: bool
    margin: str | float
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

    @property
    def kind(self) -> str:
        """In a word or two, beside another run."""
        if not self.coordinated:
            return "uncoordinated"
        return f"coordinated, margin {self.margin}" + ("" if isinstance(self.margin, str) else " p.u.")
