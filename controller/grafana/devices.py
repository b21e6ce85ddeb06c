"""Dashboard *Devices and safety*: whether devices are trustworthy, follow their setpoints, and everything is
recorded.
"""

from controller.grafana import shared
from controller.grafana.board import BoardSection, board
from controller.grafana.influxql import Query, in_range, last, least, mean, most, over_time
from controller.grafana.panels import Chart, States, TablePanel
from controller.grafana.sdk import model
from controller.grafana.style import BAD, NOTE, OUTCOMES, QUALITIES, SEVERITIES, STATES, WARN, Colours
from controller.live.site import PageSite
from realtime.timing import CYCLE_DEADLINE_S, HOLD_DATA_S

FAILED = """"outcome" != 'verified'"""


def devices(site: PageSite) -> model.Dashboard:
    """Build the dashboard."""
    return board(
        "devices",
        "Devices and safety",
        "Latency, age and quality of readings, leases and outcomes of writes, alarms, and the telemetry itself.",
        BoardSection("Alarms", (shared.active_alarms(), _alarms())),
        BoardSection(
            "Readings",
            (_latency(), _age(), _states_by_device("Quality", "quality", QUALITIES, "Quality of the last reading.")),
        ),
        BoardSection("Writes", (_lease(), _refused(), _commanded(), _outcomes())),
        BoardSection("Powers", _powers()),
        BoardSection("Cycle", (_cycle(), _missed(site))),
        BoardSection("Telemetry", (_backlog(), _lost())),
    )


def _by_device(title: str, description: str, unit: str, expression: str, width: int = 12) -> Chart:
    query = Query(over_time("device", {"device": expression}, by="device"), alias="$tag_device")
    return Chart(title, description, unit, query, width=width)


def _states_by_device(title: str, field: str, colours: Colours, description: str) -> States:
    query = Query(over_time("device", {field: last(field)}, by="device"), alias="$tag_device")
    return States(title, description, colours, query, width=24, height=10)


def _latency() -> Chart:
    return _by_device("Latency", "Slowest exchange per interval.", "ms", most("latency_ms")).min(0)


def _age() -> Chart:
    description = f"Age of the last good reading; beyond {HOLD_DATA_S:g} s the prosumer goes to its safe state."
    return _by_device("Age of the data", description, "s", most("age_s")).limit(HOLD_DATA_S, BAD).min(0)


def _lease() -> Chart:
    description = "Shortest remaining lease of a setpoint; at zero the converter goes to its safe state by itself."
    return _by_device("Lease", description, "s", least("lease_s")).limit(0, BAD).min(0)


def _powers() -> tuple[Chart, ...]:
    """Which of several converters of a prosumer carries what."""
    read, sent = (
        "Mean of what the device measures.",
        "Last setpoint per interval; none while the converter is not written.",
    )
    return (
        _by_device("Active power, measured", read, shared.KW, mean("p_kw")),
        _by_device("Active power, setpoints", sent, shared.KW, last("p_setpoint_kw")),
        _by_device("Reactive power, measured", read, shared.KVAR, mean("q_kvar")),
        _by_device("Reactive power, setpoints", sent, shared.KVAR, last("q_setpoint_kvar")),
    )


def _commanded() -> States:
    return _states_by_device("State of the converters", "state", STATES, "Remote: the converter follows this service.")


def _outcomes() -> States:
    description = "Last write per interval: verified by reading it back, rejected, or unknown."
    return _states_by_device("Outcome of writes", "outcome", OUTCOMES, description)


def _refused() -> Chart:
    writes = over_time("device", {"writes": 'count("outcome")'}, by="device", where=FAILED)
    description = "Writes that were rejected or whose outcome is unknown."
    return Chart("Writes without success", description, "none", Query(writes, alias="$tag_device")).min(0).stairs()


def _alarms() -> TablePanel:
    columns = {"cycles": 'sum("standing")', "severity": last("severity"), "text": last("text")}
    query = Query(in_range("alarm", columns, by="alarm"), table=True)
    description = "Every alarm of the chosen range, for how many cycles it was active, and its last text."
    return TablePanel("Alarms of the range", description, query, words={"severity": SEVERITIES}).without("Time")


def _cycle() -> Chart:
    query = Query(over_time("service", {"duration": most("cycle_ms")}))
    description = f"Longest cycle per interval; the deadline is {CYCLE_DEADLINE_S:g} s."
    return Chart("Duration of the cycle", description, "ms", query).limit(1e3 * CYCLE_DEADLINE_S, BAD).min(0)


def _missed(site: PageSite) -> Chart:
    query = Query(over_time("service", {"missed": most("missed")}))
    description = f"Cycles of {site.cycle_s:g} s that were skipped since the service started."
    return Chart("Missed cycles", description, "none", query).colours({"missed": BAD}).stairs().min(0)


def _backlog() -> Chart:
    query = Query(over_time("service", {"backlog": most("backlog")}))
    description = "Points that wait for the database; they are kept, and sent when it is back."
    return Chart("Backlog", description, "short", query).colours({"backlog": NOTE}).min(0)


def _lost() -> Chart:
    query = Query(over_time("service", {"dropped": most("dropped"), "dead letters": most("dead_letters")}))
    description = "Dropped: deleted before they could be sent. Dead letters: refused by the database for good."
    return (
        Chart("Points lost", description, "short", query)
        .colours({"dropped": BAD, "dead letters": WARN})
        .stairs()
        .min(0)
    )
