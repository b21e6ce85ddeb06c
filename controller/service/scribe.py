"""Makes the record of a cycle: what was measured and done, what the day has cost so far, which alarms stand."""

from dataclasses import replace
from zoneinfo import ZoneInfo

from controller.live.site import Site
from controller.record.outbox import Counts
from controller.record.records import CycleRecord, MpcRecord
from controller.service.alarms import AlarmBook
from controller.service.costs import Costs
from controller.service.cycle import Cycle
from controller.service.describe import Around, Places, cycle_record, limits_record
from controller.service.desk import Desk
from controller.service.modes import Mode
from core.config import Config
from core.time import Clock


class Scribe:
    """Remembers from cycle to cycle what a record needs of the past.

    Attributes:
        costs: of the day so far; those of an earlier service may be put in their place.
    """

    def __init__(self, config: Config, clock: Clock) -> None:
        network = config.grid.network()
        self._zone = ZoneInfo(config.horizon.timezone)
        self._places, self._limits = Places.of(config, network), limits_record(config, network)
        self._alarms = AlarmBook(Site.of(config))
        self._mpc: MpcRecord | None = None
        self.costs = Costs.none(clock.now().astimezone(self._zone))

    def saw_mpc(self, record: MpcRecord) -> None:
        """Take note of an MPC run."""
        self._mpc = record

    def record(
        self, cycle: Cycle, desk: Desk, mode: Mode, cycle_ms: float, missed: int, telemetry: Counts
    ) -> CycleRecord:
        """Of a cycle that has just ended."""
        prices = desk.prices()
        measured = {name: node.measured.p_kw if node.measured else None for name, node in cycle.result.nodes.items()}
        self.costs = self.costs.after(cycle.at.astimezone(self._zone), measured, prices)
        around = Around(prices, self.costs.chf, desk.plan_age_s(), mode, cycle_ms, missed, telemetry)
        record = cycle_record(cycle, self._places, self._limits, around)
        standing, ended = self._alarms.after(record, self._mpc)
        return replace(record, alarms=standing, ended=ended)
