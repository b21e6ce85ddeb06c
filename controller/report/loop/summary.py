"""The parts of a closed-loop run's summary that its report uses, as types; other keys are ignored."""

from datetime import datetime

from controller.accounts.baseline import Baseline
from controller.accounts.closing import SocBand
from controller.accounts.durations import Cycles, MpcRuns
from controller.accounts.energy_balance import EnergyBalance
from controller.accounts.model_check import ModelCheck
from controller.accounts.settlement import Account
from controller.accounts.supply_quality import ReactiveQuality
from controller.accounts.voltage_events import Event
from controller.accounts.voltage_quality import VoltageQuality
from controller.process.answers import RefereeCounts
from controller.report.primitives.summary import RunSummary, ScenarioSummary, SummaryPart


class SampledSummary(SummaryPart):
    """What the summaries of a simulated run and of a span of a service have in common.

    Attributes:
        supply: reactive power at the supply; None, like ``judged_from``, in a run of an older version.
        judged_from: voltages and power at the supply are judged from then on; None is the start.
    """

    command: str
    name: str
    config: str
    config_sha256: str
    version: str
    start: datetime
    end: datetime
    coordinated: bool
    scenario: ScenarioSummary
    realtime: Cycles
    mpc: MpcRuns
    measured: VoltageQuality
    soc: dict[str, SocBand]
    supply: ReactiveQuality | None = None
    judged_from: datetime | None = None


class LoopSummary(RunSummary, SampledSummary):
    """The file.

    Attributes:
        margin: margin to the voltage limits; auto, off or p.u.
        safe: whether each converter was read back in its safe state at the end.
        model_check: the grid model against measured voltages; None if nothing could be compared.
        baseline: the same day without coordination; None in a run of an older version.
    """

    interrupted: bool
    margin: str | float
    settlement: dict[str, Account]
    events: tuple[Event, ...]
    energy_books: dict[str, EnergyBalance]
    referee: RefereeCounts
    safe: dict[str, bool]
    model_check: ModelCheck | None
    baseline: Baseline | None = None

    @property
    def kind(self) -> str:
        """A short name of the kind of run, for comparisons."""
        if not self.coordinated:
            return "uncoordinated"
        return f"coordinated, margin {self.margin}" + ("" if isinstance(self.margin, str) else " p.u.")
