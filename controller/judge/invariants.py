"""All invariants: of writes (:mod:`controller.judge.writes`), of writers (:mod:`controller.judge.writers`), of cycles
(:mod:`controller.judge.cycles`), of the supply voltage (:mod:`controller.judge.supply`), of the guardian
(:mod:`controller.judge.guardians`), of emergency stops (:mod:`controller.judge.stops`) and of the commanded mode
(:mod:`controller.judge.commands`).

Their numbers are those of docs/reliability.md, which also says what histories cannot show.
"""

from collections.abc import Callable, Iterator

from controller.judge import commands, cycles, guardians, meters, stops, supply, writers, writes
from controller.judge.case import BrokenInvariant, Case

INVARIANTS: tuple[Callable[[Case], Iterator[BrokenInvariant]], ...] = (
    writes.setpoints_inside_limits,
    writes.ramps_kept,
    cycles.data_young_enough,
    writes.leases_live,
    writers.one_writer,
    writes.everything_audited,
    writes.trails_whole,
    writes.trails_chained,
    writes.written_is_read_back,
    cycles.soc_in_band,
    cycles.plans_sound,
    writes.restarts_without_bump,
    cycles.points_delivered,
    cycles.cycles_on_time,
    cycles.others_undisturbed,
    cycles.safe_left_slowly,
    cycles.modes_commanded,
    commands.commands_outlast,
    meters.lying_meters_named,
    stops.stops_executed,
    guardians.active_only_guarded,
    writers.releases_followed,
    writers.unverified_writes_alarmed,
    writers.twins_found,
    supply.voltages_corrected,
)


def violations(case: Case) -> tuple[BrokenInvariant, ...]:
    """All violations of the invariants in the run, in order of time."""
    found = [broken for invariant in INVARIANTS for broken in invariant(case)]
    return tuple(sorted(found, key=lambda broken: (broken.time, broken.invariant, broken.device or "")))
