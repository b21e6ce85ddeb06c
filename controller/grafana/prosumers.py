"""Dashboard *Prosumers*: target, setpoint and measurement of one prosumer, selected by a variable."""

from controller.grafana import shared
from controller.grafana.board import BoardSection, board
from controller.grafana.influxql import SOURCE, Query, in_range, last, mean, over_time, tag_values
from controller.grafana.panels import Chart, Number, Panel, States
from controller.grafana.sdk import build, model
from controller.grafana.style import BAD, GOOD, NOTE, RUNGS, WARN, fixed
from controller.live.site import PageSite

SELECTED = """"prosumer" = '$prosumer'"""
_ROLES = {"target": "#999999", "setpoint": NOTE, "measured": "text"}


def prosumers(site: PageSite) -> model.Dashboard:
    """Build the dashboard."""
    return board(
        "prosumers",
        "Prosumers",
        "Target, setpoint and measurement of one prosumer, its load, PV and battery.",
        BoardSection("Now: $prosumer", _now(site)),
        BoardSection("Power", (_power("P", "kw", shared.KW), _power("Q", "kvar", shared.KVAR, PV="pv_kvar"))),
        BoardSection("Behind the meter", (_emulated(), _soc(), _voltage())),
        BoardSection("Decisions", (_price(site), _rung())),
        variable=_variable(),
    )


def _variable() -> build.QueryVariable:
    query: dict[str, object] = {"query": tag_values("prosumer", "prosumer"), "refId": "prosumer"}
    variable = build.QueryVariable("prosumer").label("Prosumer").datasource(SOURCE).query(query)
    sort, refresh = model.VariableSort.ALPHABETICAL_ASC, model.VariableRefresh.ON_TIME_RANGE_CHANGED
    built = variable.sort(sort).refresh(refresh).multi(False).include_all(False).build()
    built.auto = built.auto_min = built.auto_count = None  # only other kinds of variables have these
    return variable


def _over_time(measurement: str, **columns: str) -> Query:
    return Query(over_time(measurement, {name: mean(field) for name, field in columns.items()}, where=SELECTED))


def _now(site: PageSite) -> tuple[Panel, ...]:
    def of(measurement: str, field: str) -> Query:
        return Query(in_range(measurement, {field: last(field)}, where=SELECTED))

    rungs = "Use: the plan's targets. Hold: the last setpoint, as data are old. Safe: no flexibility."
    return (
        Number("Rung", rungs, "string", of("prosumer", "rung")).words(RUNGS),
        shared.figure(
            "Measured", "Measured power, drawn from the grid.", shared.KW, of("prosumer", "p_measured_kw"), 2
        ),
        shared.figure("State of charge", "State of charge of the battery.", "percentunit", of("prosumer", "soc"), 0),
        shared.figure("Voltage", "Voltage at its node.", shared.PU, of("prosumer", "v_measured_pu"), 4),
        shared.figure(
            "Price", "Marginal price of the current plan.", shared.per_kwh(site), of("price", "price_chf_per_kwh"), 3
        ),
        shared.figure(
            "Cost today",
            "Cost of the measured energy since local midnight.",
            shared.money(site),
            of("price", "cost_chf"),
            2,
        ),
    )


def _power(letter: str, unit_name: str, unit: str, **parts: str) -> Chart:
    """``parts``: columns beside those of the roles."""
    name = letter.lower()
    columns = {role: f"{name}_{role}_{unit_name}" for role in _ROLES} | parts
    description = "Target of the plan, setpoint that was written, measurement; positive: drawn from the grid."
    chart = Chart(f"{letter}: target, setpoint, measured", description, unit, _over_time("prosumer", **columns))
    return chart.colours(_ROLES | dict.fromkeys(parts, WARN))


def _emulated() -> Chart:
    description = "Components of the setpoint. PV: generated; battery: positive discharges."
    query = _over_time("prosumer", load="load_kw", PV="pv_kw", battery="battery_kw")
    colours = {"load": BAD, "PV": WARN, "battery": GOOD}
    return Chart("Load, PV, battery", description, shared.KW, query, width=8).colours(colours)


def _soc() -> Chart:
    query = _over_time("prosumer", **{"state of charge": "soc"})
    chart = Chart("State of charge", "State of charge of the battery.", "percentunit", query, width=8)
    return chart.colours({"state of charge": GOOD}).min(0).max(1)


def _voltage() -> Chart:
    query = _over_time("prosumer", voltage="v_measured_pu")
    chart = Chart("Voltage", "Voltage at the node of the prosumer.", shared.PU, query, shared.voltage_limits(), width=8)
    return chart.colours({"voltage": "text"}).decimals(4)


def _price(site: PageSite) -> Chart:
    query = _over_time("price", price="price_chf_per_kwh", tariff="tariff_chf_per_kwh")
    chart = Chart("Price and tariff", "Marginal price of the current plan, and tariff.", shared.per_kwh(site), query)
    return chart.colours({"price": NOTE}).series([("tariff", fixed("text", dashed=True))]).stairs()


def _rung() -> States:
    description = "Use: as planned. Hold: the last setpoint. Safe: no flexibility."
    return States("Rung", description, RUNGS, Query(over_time("prosumer", {"rung": last("rung")}, where=SELECTED)))
