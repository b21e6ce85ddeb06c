"""The tables of a span of a service: costs, alarms, commands, writes by converter."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter

import pandas as pd

from controller.record.audit_lines import ATTEMPTED
from controller.report.loop.tables import charge
from controller.report.primitives.amounts import NOT_MEASURED, UNKNOWN, number
from controller.report.primitives.markup import Markup, joined, row, table, tag
from controller.report.primitives.times import day_and_clock
from controller.report.service.record import ServiceRecord
from controller.report.service.summary import ProsumerAccount
from core.devices import Outcome

ROWS = 40


def account_table(record: ServiceRecord) -> Markup:
    """What the measured energy of every prosumer cost."""
    currency, accounts = record.summary.scenario.currency, record.summary.accounts
    money = (f"cost, measured ({currency})", f"compensation promised ({currency})")
    energies = ("drawn (kWh)", "fed in (kWh)", "PV (kWh)", "not measured (h)")
    head = row("th", "prosumer", *money, *energies, "charge, first … last (%)")
    rows = [row("td", name, *_cells(account)) for name, account in accounts.items()]
    known = [account for account in accounts.values() if account.cost is not None]
    total = number(sum(account.cost or 0.0 for account in known)) if known else NOT_MEASURED
    columns = ("imported_kwh", "exported_kwh", "pv_kwh")
    sums = [sum(getattr(account, name) for account in accounts.values()) for name in columns]
    return table([head], rows, row("td", "total", total, "", *(number(kwh, 2) for kwh in sums), "", ""))


def _cells(account: ProsumerAccount) -> tuple[str, ...]:
    energies = (account.imported_kwh, account.exported_kwh, account.pv_kwh)
    stored = UNKNOWN if account.soc_first is None else f"{charge(account.soc_first)} … {charge(account.soc_last)}"
    return (
        NOT_MEASURED if account.cost is None else number(account.cost),
        UNKNOWN if account.promised is None else number(account.promised),
        *(number(kwh, 2) for kwh in energies),
        number(account.unmeasured_h, 2),
        stored,
    )


def alarm_table(record: ServiceRecord) -> Markup:
    """When which alarm stood, the last first."""
    episodes = sorted(_episodes(record.alarms), key=lambda episode: pd.Timestamp(episode["time"].iloc[0]), reverse=True)
    if not episodes:
        return tag("p", "No alarm in this span.", class_="held")
    more = f"and {len(episodes) - ROWS} earlier ones"
    rest = [tag("p", more, class_="note")] if len(episodes) > ROWS else []
    zone, shown = record.axis.timezone, episodes[:ROWS]
    begins = [day_and_clock(episode["time"].iloc[0], zone) for episode in shown]
    dated = [(day, _alarm_row(zone, began, day, each)) for (day, began), each in zip(begins, shown, strict=True)]
    return joined(
        tag(
            "div",
            table([row("th", "from – to", "severity", "what", "last said")], _under_days(dated, 4)),
            class_="words",
        ),
        *rest,
    )


def _episodes(alarms: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each alarm from its begin to its end."""
    episodes = []
    for _, rows in alarms.groupby("alarm", sort=False):
        ended = (rows["standing"] == 0).shift(1, fill_value=False).cumsum()
        episodes += [episode for _, episode in rows.groupby(ended)]
    return episodes


def _alarm_row(zone: str, began: str, day: str, episode: pd.DataFrame) -> Markup:
    last = episode.iloc[-1]
    until = "at the end" if last["standing"] else _end(last["time"], zone, day)
    return row("td", f"{began} – {until}", last["severity"], last["alarm"], tag("td", last["text"], class_="prose"))


def _end(instant: datetime, zone: str, day: str) -> str:
    """Time of day, with its date if that is another one."""
    date, time = day_and_clock(instant, zone)
    return time if date == day else f"{date} {time}"


def _under_days(dated: Sequence[tuple[str, Markup]], columns: int) -> list[Markup]:
    """Rows of so many columns under a row with their day, which each day has once."""
    rows = []
    for day, of_day in groupby(dated, key=itemgetter(0)):
        rows += [tag("tr", tag("th", day, colspan=str(columns), scope="rowgroup")), *(each for _, each in of_day)]
    return rows


def write_table(record: ServiceRecord) -> Markup:
    """Attempts by converter and outcome, from the audit trail."""
    counts: dict[str, Counter[str]] = {}
    for write in record.writes:
        counts.setdefault(write.device, Counter())[write.outcome] += 1
    if not counts:
        return tag("p", "Nothing was written in this span.", class_="note")
    outcomes = [str(outcome) for outcome in Outcome]
    rows = []
    for device, found in sorted(counts.items()):
        open_ = found[ATTEMPTED] - sum(found[outcome] for outcome in outcomes)
        rows.append(row("td", device, *(str(found[name]) for name in (ATTEMPTED, *outcomes)), str(open_)))
    return table([row("th", "converter", ATTEMPTED, *outcomes, "without an outcome")], rows)


def note_table(record: ServiceRecord) -> Markup:
    """Changes of mode, commands, and other notes of the audit trail."""
    if not record.notes:
        return tag("p", "The audit trail has no command and no change of mode in this span.", class_="note")
    zone, shown = record.axis.timezone, record.notes[-ROWS:]
    rows = []
    for each in shown:
        day, time = day_and_clock(each.time, zone)
        rows.append((day, row("td", time, each.event, tag("td", each.detail, class_="prose"))))
    return tag("div", table([row("th", "at", "what", "")], _under_days(rows, 3)), class_="words")
