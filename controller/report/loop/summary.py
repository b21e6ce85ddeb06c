"""The parts of a closed-loop run's summary.json that its report uses, as types; other keys are ignored."""

from datetime import datetime

from controller.accounts.closing import SocBand
from controller.accounts.durations import Cycles, MpcRuns
from controller.accounts.energy_balance import EnergyBalance
from controller.accounts.model_check import ModelCheck
from controller.accounts.settlement import Account
from controller.accounts.voltage_events import Event
from controller.accounts.voltage_quality import VoltageQuality
from controller.process.answers import RefereeCounts
from controller.report.primitives.summary import RunSummary


class LoopSummary(RunSummary):
    """The file.

    Attributes:
        margin: margin to the voltage limits; auto, off or p.u.
        safe: whether each converter was read back in its safe state at the end.
        model_check: the grid model against measured voltages; None if nothing could be compared.
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
    energy_books: dict[str, EnergyBalance]
    referee: RefereeCounts
    safe: dict[str, bool]
    model_check: ModelCheck | None

    @property
    def kind(self) -> str:
        """A short name of the kind of run, for comparisons."""
        if not self.coordinated:
            return "uncoordinated"
        return f"coordinated, margin {self.margin}" + ("" if isinstance(self.margin, str) else " p.u.")
