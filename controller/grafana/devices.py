"""Dashboard *Devices and safety*: can the devices be trusted, do they obey, is everything recorded."""

from controller.grafana import shared
from controller.grafana.board import BoardSection, board
from controller.grafana.influxql import Query, in_range, last, least, most, over_time
from controller.grafana.panels import Chart, States, TablePanel
from controller.grafana.sdk import model
from controller.grafana.style import BAD, NOTE, OUTCOMES, QUALITIES, SEVERITIES, STATES, WARN, Colours
from controller.live.site import PageSite
from realtime.timing import CYCLE_DEADLINE_S, HOLD_DATA_S

FAILED = """"outcome" != 'verified'"""


def devices(site: PageSite) -> model.Dashboard:
    """The dashboard."""
    return board(
        "devices",
        "Devices and safety",
        "Latency, age and quality of readings, leases and outcomes of writes, alarms, and the telemetry itself.",
        BoardSection("Alarms", (shared.standing_alarms(), _alarms())),
        BoardSection("Readings", (_latency(), _age(), _words("Quality", "quality", QUALITIES, "Of the last reading."))),
        BoardSection("Writes", (_lease(), _refused(), _commanded(), _outcomes())),
        BoardSection("Cycle", (_cycle(), _missed(site))),
        BoardSection("Telemetry", (_backlog(), _lost())),
    )


def _by_device(title: str, says: str, unit: str, expression: str, width: int = 12) -> Chart:
    query = Query(over_time("device", {"device": expression}, by="device"), alias="$tag_device")
    return Chart(title, says, unit, query, width=width)


def _words(title: str, field: str, colours: Colours, says: str) -> States:
    query = Query(over_time("device", {field: last(field)}, by="device"), alias="$tag_device")
    return States(title, says, colours, query, width=24, height=10)


def _latency() -> Chart:
    return _by_device("Latency", "Slowest exchange of a bucket.", "ms", most("latency_ms")).min(0)


def _age() -> Chart:
    says = f"Of the last good reading; beyond {HOLD_DATA_S:g} s the prosumer goes to its safe state."
    return _by_device("Age of the data", says, "s", most("age_s")).limit(HOLD_DATA_S, BAD).min(0)


def _lease() -> Chart:
    says = "Least that was left of a setpoint's life; at zero the converter goes to its safe state by itself."
    return _by_device("Lease", says, "s", least("lease_s")).limit(0, BAD).min(0)


def _commanded() -> States:
    return _words("State of the converters", "state", STATES, "Remote: they obey this service.")


def _outcomes() -> States:
    says = "Last write of a bucket: verified by reading it back, rejected, or unknown."
    return _words("Outcome of writes", "outcome", OUTCOMES, says)


def _refused() -> Chart:
    writes = over_time("device", {"writes": 'count("outcome")'}, by="device", where=FAILED)
    says = "Rejected or of unknown outcome."
    return Chart("Writes without success", says, "none", Query(writes, alias="$tag_device")).min(0).stairs()


def _alarms() -> TablePanel:
    columns = {"cycles": 'sum("standing")', "severity": last("severity"), "text": last("text")}
    query = Query(in_range("alarm", columns, by="alarm"), table=True)
    says = "Every alarm of the chosen range, for how many cycles it stood, and its last text."
    return TablePanel("Alarms of the range", says, query, words={"severity": SEVERITIES}).without("Time")


def _cycle() -> Chart:
    query = Query(over_time("service", {"duration": most("cycle_ms")}))
    says = f"Longest cycle of a bucket; {CYCLE_DEADLINE_S:g} s is its deadline."
    return Chart("Duration of the cycle", says, "ms", query).limit(1e3 * CYCLE_DEADLINE_S, BAD).min(0)


def _missed(site: PageSite) -> Chart:
    query = Query(over_time("service", {"missed": most("missed")}))
    says = f"Cycles of {site.cycle_s:g} s that were skipped since the service started."
    return Chart("Missed cycles", says, "none", query).colours({"missed": BAD}).stairs().min(0)


def _backlog() -> Chart:
    query = Query(over_time("service", {"backlog": most("backlog")}))
    says = "Points that wait for the database; they are kept, and sent when it is back."
    return Chart("Backlog", says, "short", query).colours({"backlog": NOTE}).min(0)


def _lost() -> Chart:
    query = Query(over_time("service", {"dropped": most("dropped"), "dead letters": most("dead_letters")}))
    says = "Dropped: deleted before they could be sent. Dead letters: refused by the database for good."
    return Chart("Points lost", says, "short", query).colours({"dropped": BAD, "dead letters": WARN}).stairs().min(0)
