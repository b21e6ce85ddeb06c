"""Alarms for the operator: violated limits, rungs below USE, devices and plans with problems.

A limit counts as violated if two cycles in a row are beyond it by more than the tolerance of
:class:`~controller.live.site.PageSite`. The voltage of the slack raises no alarm, since nobody here controls it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller.live.site import PageSite
from controller.record.records import Alarm, CycleRecord, MpcRecord, Severity
from core.devices import Quality
from realtime.fallback import Rung
from realtime.reasons import Reason

CONVERGED = "converged"
PLANS_MISSED = 1.2
"""Periods of the MPC without a run after which there is an alarm: 12 min with the usual period."""


@dataclass(frozen=True)
class Finding:
    """A present condition; kind and place identify its alarm. With ``confirm`` it must hold in two cycles in a row."""

    kind: str
    severity: Severity
    place: str
    text: str
    confirm: bool = False


class AlarmLog:
    """Alarms that are standing, from cycle to cycle."""

    def __init__(self, site: PageSite) -> None:
        self._site = site
        self._standing: dict[tuple[str, str], Alarm] = {}
        self._seen: set[tuple[str, str]] = set()
        self._planned: datetime | None = None

    def after(
        self, record: CycleRecord, mpc: MpcRecord | None, notices: Iterable[Finding] = ()
    ) -> tuple[tuple[Alarm, ...], tuple[Alarm, ...]]:
        """Update with a cycle, and return standing and ended alarms.

        Standing ones are ordered: alarms before warnings, then by age. Ended ones keep their last text.

        Args:
            mpc: the last MPC run; None before the first one.
            notices: conditions that are not in the record.
        """
        before, self._standing = self._standing, {}
        seen, self._seen = self._seen, set()
        self._planned = mpc.time if mpc else self._planned or record.time
        for found in (*_findings(self._site, record, mpc, self._planned), *notices):
            key = found.kind, found.place
            self._seen.add(key)
            if found.confirm and key not in seen:
                continue
            since = before[key].since if key in before else record.time
            self._standing[key] = Alarm(found.kind, found.severity, found.place, found.text, since)
        ended = (replace(alarm, until=record.time) for key, alarm in before.items() if key not in self._standing)
        standing = sorted(self._standing.values(), key=lambda alarm: (alarm.severity, alarm.since))
        return tuple(standing), tuple(ended)


def _findings(site: PageSite, record: CycleRecord, mpc: MpcRecord | None, planned: datetime) -> Iterator[Finding]:
    """Conditions in a record; ``planned`` is the time of the last MPC run, or of the first cycle."""
    yield from _grid(site, record)
    yield from _prosumers(record)
    yield from _devices(site, record)
    if mpc is not None:
        yield from _planning(mpc)
    if record.time - planned > timedelta(seconds=PLANS_MISSED * site.mpc_every_s):
        minutes = (record.time - planned).total_seconds() / 60
        yield Finding("overdue", Severity.ALARM, "MPC", f"no run for {minutes:.0f} min")


def _grid(site: PageSite, record: CycleRecord) -> Iterator[Finding]:
    low, high, tolerance = site.limits.v_min_pu, site.limits.v_max_pu, site.v_tol_pu
    for node, v_pu in record.nodes.items():
        if v_pu is not None and node != site.slack and not low - tolerance <= v_pu <= high + tolerance:
            yield Finding(
                "voltage", Severity.ALARM, node, f"{v_pu:.4f} p.u., allowed {low:g} … {high:g} p.u.", confirm=True
            )
    for line in site.lines:
        i_a, i_max_a = record.lines.get(line.name), line.i_max_a
        if i_a is not None and i_max_a is not None and not i_a <= i_max_a * (1 + site.rating_tol):
            yield Finding("current", Severity.ALARM, line.name, f"{i_a:.1f} A, allowed ≤ {i_max_a:g} A", confirm=True)
    tolerance = site.rating_tol * site.limits.slack_s_max_kva
    for kind, value, limit, unit in (
        ("P", record.slack_p_kw, site.slack_p_max_kw, "kW"),
        ("Q", record.slack_q_kvar, site.slack_q_max_kvar, "kvar"),
    ):
        if value is not None and not abs(value) <= limit + tolerance:
            text = f"|{kind}| {abs(value):.2f} {unit}, allowed ≤ {limit:.2f} {unit}"
            yield Finding(kind, Severity.ALARM, site.slack, text, confirm=True)


def _prosumers(record: CycleRecord) -> Iterator[Finding]:
    for name, prosumer in record.prosumers.items():
        if prosumer.rung not in (None, Rung.USE):
            why = ", ".join(reason.replace("_", " ") for reason in prosumer.reasons)
            passing = prosumer.rung == Rung.HOLD or prosumer.reasons == (Reason.REJOINING,)
            severity = Severity.WARNING if passing else Severity.ALARM
            yield Finding("rung", severity, name, f"{prosumer.rung}{f': {why}' if why else ''}")


def _devices(site: PageSite, record: CycleRecord) -> Iterator[Finding]:
    for name, device in record.devices.items():
        age = "never read" if device.age_s is None else f"last good reading {device.age_s:.0f} s old"
        if device.quality != Quality.GOOD:
            yield Finding("device", Severity.ALARM, name, f"{device.quality}, {age}")
        elif device.age_s is None or device.age_s > site.stale_s:
            yield Finding("device", Severity.WARNING, name, age)


def _planning(mpc: MpcRecord) -> Iterator[Finding]:
    if mpc.status != CONVERGED:
        kept = "its plan is in force" if mpc.adopted else "the plan before it stays"
        yield Finding("status", Severity.WARNING, "MPC", f"{mpc.status.replace('_', ' ')}, {kept}")
