"""The tables of a closed loop: checks, settlement, how targets were followed, energy balance of the batteries."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isnan
from zoneinfo import ZoneInfo

from controller.report.loop.checks import Check
from controller.report.loop.record import LoopRecord, SampledRecord
from controller.report.loop.telemetry import ConverterSamples
from controller.report.primitives.amounts import NOT_MEASURED, UNKNOWN, number, percent
from controller.report.primitives.markup import Markup, row, table, tag
from controller.runs.words import account_words
from realtime.fallback import Rung
from realtime.reasons import Reason


def check_table(found: tuple[Check, ...]) -> Markup:
    """Everything that was to be shown; the verdict comes first, so that a narrow screen shows it."""
    rows = [
        tag("tr", _verdict(c.held), tag("th", c.what, scope="row"), tag("td", c.found), tag("td", c.allowed))
        for c in found
    ]
    return tag("div", table([row("th", "", "", "found", "allowed")], rows), class_="checks")


def settlement_table(record: LoopRecord) -> Markup:
    """The measured cost against that of the own optimum in hindsight, and what the day-ahead plan had promised."""
    currency, accounts = record.summary.scenario.currency, record.summary.settlement
    words = account_words(coordinated=record.summary.coordinated)
    money = [f"{name} ({currency})" for name in (*words, "of it stored", "promised")]
    head = row("th", "prosumer", *money, "drawn (kWh)", "fed in (kWh)", "curtailed (kWh)", "final charge (%)")
    rows, sums = [], [0.0] * 8
    for name, a in accounts.items():
        stored_chf = a.stored_chf - a.own_stored_chf
        amounts = (a.own_optimum_chf, a.real_chf, a.compensation_chf, stored_chf, a.promised_chf)
        energies = (a.imported_kwh, a.exported_kwh, a.curtailed_kwh)
        cells = (*map(number, amounts), *(number(kwh, 2) for kwh in energies))
        rows.append(row("td", name, *cells, charge(a.soc_final)))
        sums = [total + value for total, value in zip(sums, (*amounts, *energies), strict=True)]
    foot = row("td", "total", *map(number, sums[:5]), *(number(kwh, 2) for kwh in sums[5:]), "")
    return table([head], rows, foot)


def following_table(record: SampledRecord) -> Markup:
    """How well targets and setpoints were followed, and on which rung of the ladder the nodes stood."""
    realtime = record.recording.realtime
    asked_for = (tag("th", f"|{asked} − measured| (kW)", colspan="2") for asked in ("target", "setpoint"))
    groups = tag("tr", tag("th", ""), *asked_for, tag("th", "", colspan="3"))
    shares = {"battery saturated": Reason.BATTERY_SATURATED, "voltage corrected": Reason.VOLTAGE_SLOPE}
    head = row("th", "prosumer", *("mean", "95 %") * 2, "cycles held or safe", *shares)
    drawn, rows = realtime["p_measured_kw"].shift(-1), []
    for name in record.recording.prosumers:
        cells = []
        for asked in ("p_target_kw", "p_setpoint_kw"):
            error = (realtime[asked][name] - drawn[name]).abs()
            cells += [_number_or_unknown(float(value)) for value in (error.mean(), error.quantile(0.95))]
        rung = realtime["rung"][name]
        lower = rung[~rung.isin(("", Rung.USE))]
        elsewhere = ", ".join(f"{word} {count}" for word, count in lower.value_counts().items())
        given = realtime["reasons"][name].str
        parts = [float(given.contains(reason, regex=False).mean()) for reason in shares.values()]
        rows.append(row("td", name, *cells, elsewhere or "none", *map(percent, parts)))
    return table([groups, head], rows)


def converters_table(teams: Mapping[str, Sequence[str]], samples: ConverterSamples) -> Markup:
    """What each of several converters was sent and has drawn."""
    columns = ("sent, mean (kW)", "largest (kW)", "drawn, mean (kW)", "cycles without setpoint", "without answer")
    head, rows = row("th", "prosumer", "converter", *columns), []
    for prosumer, names in teams.items():
        for name in names:
            sent, drawn = samples.sent_kw[name], samples.drawn_kw[name]
            powers = (sent.mean(), sent.abs().max(), drawn.mean())
            missing = (int(sent.isna().sum()), int(drawn.isna().sum()))
            rows.append(row("td", prosumer, name, *map(_number_or_unknown, powers), *map(str, missing)))
    return table([head], rows)


def balance_table(record: LoopRecord) -> Markup:
    """BatteryAccount of the emulated batteries against the plant's true energy, and the state of charge in its band."""
    energies = [f"{what} (kWh)" for what in ("charged", "discharged", "net booked", "net true")]
    head, rows = row("th", "prosumer", *energies, "difference", "charge (%)", "band (%)"), []
    for name, book in record.summary.energy_books.items():
        band = record.summary.soc[name]
        cells = [number(kwh, 3) for kwh in (book.charged_kwh, book.discharged_kwh, book.booked_kwh, book.true_kwh)]
        share = UNKNOWN if book.difference_rel is None else percent(book.difference_rel)
        ranges = (
            f"{charge(low)}\u00a0…\u00a0{charge(high)}"
            for low, high in ((band.lowest, band.highest), (band.soc_min, band.soc_max))
        )
        rows.append(row("td", name, *cells, share, *ranges))
    return table([head], rows)


def charge(soc: float | None) -> str:
    """A state of charge in per cent."""
    return UNKNOWN if soc is None else number(100 * soc, 1)


def local(instant: datetime, timezone: str) -> str:
    """HH:MM."""
    return f"{instant.astimezone(ZoneInfo(timezone)):%H:%M}"


def _number_or_unknown(value: float) -> str:
    return UNKNOWN if isnan(value) else number(value, 3)


def _verdict(held: bool | None) -> Markup:
    if held is None:
        return tag("td", NOT_MEASURED, class_="unknown")
    return tag("td", "held" if held else "not held", class_="held" if held else "broken")
