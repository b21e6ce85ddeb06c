"""Terminal output of ``gridlab check --probe``: readings, states of converters, problems, and the model check."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from rich.table import Table
from rich.text import Text

from controller.accounts.model_check import WARNING_PU, ModelCheck
from controller.cli.screens.terminal import console
from controller.service.probe import DeviceReport, MeterReport
from core.devices import Quality

UNCLEAR_SHOWN = 4
_STYLES = {Quality.GOOD: "green", Quality.STALE: "yellow", Quality.INVALID: "red"}


def print_probe(reports: Sequence[DeviceReport], check: ModelCheck | None, meters: MeterReport) -> None:
    """Print all reports; ``check`` is None if the readings do not suffice for a comparison with the grid model."""
    console.print(_devices(reports))
    console.print(_measurements(reports))
    if any(report.last.status for report in reports):
        console.print(_converters(reports))
    for report in reports:
        for problem in report.problems:
            console.print(Text.assemble((f"{report.name}: ", "yellow"), problem), soft_wrap=True)
    for name, problem in meters.problems.items():
        console.print(Text.assemble((f"{name}: ", "yellow"), problem), soft_wrap=True)
    console.print(_model(check), soft_wrap=True)
    for line in _meters(meters):
        console.print(line, soft_wrap=True)
    console.print(f"{sum(report.answered for report in reports)} of {len(reports)} devices answered")


def _devices(reports: Sequence[DeviceReport]) -> Table:
    table = _table("devices", ("device", "kind"), ())
    table.add_column("address", overflow="fold")
    table.add_column("latency ms", justify="right")
    for report in reports:
        kind = report.device.kind.replace("_", " ")
        table.add_row(report.name, kind, report.address, _number(report.latency_ms, 1))
    return table


def _measurements(reports: Sequence[DeviceReport]) -> Table:
    numbers = "P kW", "Q kvar", "V p.u.", "I A", "clock age"
    table = _table("last readings, demand positive", ("device", "quality"), numbers)
    for report in reports:
        reading = report.last.measurement
        table.add_row(
            report.name,
            f"[{_STYLES[reading.quality]}]{reading.quality}[/]",
            _number(reading.p_kw, 3),
            _number(reading.q_kvar, 3),
            _number(reading.v_pu, 4),
            _number(reading.i_a, 2),
            _age(report.last.clock_age_s),
        )
    return table


def _converters(reports: Sequence[DeviceReport]) -> Table:
    numbers = "S max kVA", "P setpoint kW", "Q setpoint kvar", "writer"
    table = _table("converters, in their own words", ("device", "state"), numbers)
    for report in reports:
        if status := report.last.status:
            table.add_row(
                report.name,
                "–" if status.state is None else status.state.name.lower(),
                _number(status.s_max_kva, 1),
                _number(status.p_setpoint_kw, 3),
                _number(status.q_setpoint_kvar, 3),
                _number(status.writer_epoch, 0),
            )
    return table


def _table(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(title=title)
    for heading in texts:
        table.add_column(heading)
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table


def _model(check: ModelCheck | None) -> str:
    if check is None:
        return "grid model: not compared; it takes a meter at the slack node and the demand of every prosumer"
    text = (
        f"grid model: off by {check.mean_pu:.4f} p.u. in the mean of {check.samples} voltages, "
        f"by {check.worst_pu:.4f} p.u. at {check.worst_node}"
    )
    return f"[yellow]{text}; above {WARNING_PU:g} p.u. lines, nodes or signs are wrong" if check.doubtful else text


def _meters(meters: MeterReport) -> Iterator[str]:
    if meters.undecided:
        yield f"[yellow]voltages contradict each other, one cannot tell which is wrong: {', '.join(meters.undecided)}"
    if meters.unclear:
        shown = ", ".join(f"{first}/{second}" for first, second in meters.unclear[:UNCLEAR_SHOWN])
        more = f" and {rest} more" if (rest := len(meters.unclear) - UNCLEAR_SHOWN) > 0 else ""
        yield f"exchanged meters would not show at this load: {shown}{more}; repeat it with load, and with more --reads"
    elif meters.compared and not meters.problems:
        yield "meters: each measures its own node"


def _number(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def _age(seconds: float | None) -> str:
    """Seconds, or hours and days if a clock is wrong by more than 1000 s."""
    if seconds is None:
        return "–"
    if abs(seconds) < 1000:
        return f"{seconds:.1f} s"
    return f"{'-' if seconds < 0 else ''}{timedelta(seconds=abs(round(seconds)))}"
