"""The report of a span of a service, from nothing but its description, telemetry and audit trail."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from controller.record.audit import Attempt, AuditTrail
from controller.record.telemetry import nanoseconds
from controller.report import write_report, write_service_report
from controller.report.loop.record import read_loop
from controller.report.service.checks import service_checks
from controller.report.service.record import is_service, read_service
from controller.report.service.span import MOMENT, AskedSpan
from controller.runs.description import SERVICE, described, write_description
from controller.runs.directory import Run
from core.devices import Outcome
from core.errors import InputError
from core.load import load_config
from tests.support.loops import looped
from tests.support.paths import CONFIGS
from tests.support.reports import Page, drawings

CONFIG = CONFIGS / "gridlab9.yaml"
FIGURES = {"run", "voltages", "prosumers", "exchange", "mpc", "cycles"}
ALL = AskedSpan()
ZURICH = ZoneInfo("Europe/Zurich")
NOON = datetime(2018, 6, 21, 12, tzinfo=ZURICH)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 minutes from noon on."""
    return looped(tmp_path_factory.mktemp("loops") / "simulated", CONFIG, (72, 76))


@pytest.fixture
def service(simulated: Path, tmp_path: Path) -> Path:
    """What `serve` would have left of the same cycles; one of two writes was refused."""
    folder = tmp_path / "service"
    folder.mkdir()
    shutil.copy(simulated / "telemetry.sqlite", folder)
    write_description(folder, described(load_config(CONFIG), CONFIG, NOON))
    with AuditTrail(folder / "audit.jsonl") as trail:
        at = NOON + timedelta(minutes=5)
        attempts = [Attempt(f"{name}_converter", 1.0, 0.0, REASON, "mpc x") for name in ("n4", "n5")]
        seqs = trail.begin(at, attempts)
        trail.complete(at, dict(zip(seqs, (Outcome.VERIFIED, Outcome.REJECTED), strict=True)))
    return folder


REASON = "use battery_saturated"


def edit(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "telemetry.sqlite")) as connection, connection:
        connection.execute(statement)


def test_the_page_tells_what_the_simulation_knows_of_the_same_cycles(service: Path, simulated: Path) -> None:
    record, known = read_service(service, ALL), read_loop(Run(simulated))
    for count in ("v_max_pu", "outside", "means_10min", "outside_10min"):
        assert getattr(record.summary.measured, count) == pytest.approx(getattr(known.summary.measured, count)), count
    assert record.summary.supply is not None
    assert known.summary.supply is not None
    for count in ("limit_kvar", "means_10min"):
        assert getattr(record.summary.supply, count) == pytest.approx(getattr(known.summary.supply, count)), count
    assert record.summary.judged_from is not None
    assert NOON < record.summary.judged_from <= NOON + timedelta(minutes=2), "ramps are in the audit trail only"
    pd.testing.assert_frame_equal(record.recording.v_pu, known.recording.v_pu, check_names=False)
    for column in ("p_measured_kw", "soc", "price_chf_per_kwh"):
        pd.testing.assert_frame_equal(
            record.recording.realtime[column], known.recording.realtime[column], check_names=False
        )
    for name, account in record.summary.accounts.items():
        settled = known.summary.settlement[name]
        assert account.imported_kwh == pytest.approx(settled.imported_kwh, abs=0.02)
        assert account.exported_kwh == pytest.approx(settled.exported_kwh, abs=0.02)
    assert record.recording.realtime["reasons"]["N4"].str.contains("battery_saturated").sum() == 1


def test_figures_are_on_the_page_and_beside_it(service: Path) -> None:
    html = write_service_report(service, ALL).read_text(encoding="utf-8")
    assert set(drawings(html)) == FIGURES
    text = Page(html).text
    assert "gridlab serve" in text
    assert "12:00:00 – 2018-06-21 12:40:00" in text
    files = {f"{key}.{kind}" for key in FIGURES for kind in ("svg", "png")}
    assert {path.name for path in (service / "figures").iterdir()} == files
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (service / "figures").glob("*.png"))


def test_a_refused_write_is_not_called_held(service: Path) -> None:
    (written,) = (check for check in service_checks(read_service(service, ALL)) if check.what.startswith("Setpoints"))
    assert (written.held, written.found) == (False, "50 % (1 of 2; rejected 1)")


def test_alarms_stand_under_their_day_which_is_written_once(service: Path) -> None:
    for name, standing, minutes in (("lost", 1, 5), ("lost", 0, 7), ("stale", 1, 10)):
        time_ns = nanoseconds(NOON + timedelta(minutes=minutes))
        edit(
            service,
            "INSERT INTO alarm (time, alarm, standing, severity, text) "
            f"VALUES ({time_ns}, '{name}', {standing}, 'warning', 'said')",
        )
    text = " ".join(Page(write_service_report(service, ALL).read_text(encoding="utf-8")).text.split())
    chapter = text[text.index("last said") :][:120]
    assert chapter.startswith(
        "last said 2018-06-21 12:10:00 – at the end warning stale said 12:05:00 – 12:07:00 warning lost said"
    )


@pytest.mark.parametrize("gone", ["node", "everything"])
def test_what_nobody_measured_is_not_called_held(service: Path, gone: str) -> None:
    edit(service, "UPDATE node SET v_pu = NULL")
    if gone == "everything":
        edit(service, "UPDATE service SET slack_p_kw = NULL, slack_q_kvar = NULL")
        edit(service, "UPDATE prosumer SET p_measured_kw = NULL, q_measured_kvar = NULL, soc = NULL")
        edit(service, "UPDATE line SET i_a = NULL")
        edit(service, "DELETE FROM mpc")
        (service / "audit.jsonl").unlink()
    held = {check.what: check.held for check in service_checks(read_service(service, ALL))}
    voltages = {what: is_held for what, is_held in held.items() if "voltage" in what or "sample" in what}
    assert len(voltages) == 4
    assert set(voltages.values()) == {None}
    supply = {is_held for what, is_held in held.items() if "upper grid" in what}
    assert (supply == {None}) if gone == "everything" else (None not in supply)
    text = Page(write_service_report(service, ALL).read_text(encoding="utf-8")).text
    assert "No voltage was measured." in text
    assert "Everything was held" not in text


@pytest.mark.parametrize(
    ("begin", "end", "minutes"),
    [
        (None, None, (0, 40)),
        ("2018-06-21T12:10", None, (10, 40)),
        ("2018-06-21T12:10:00+02:00", "2018-06-21T10:20:00+00:00", (10, 20)),
        ("2018-06-21", None, (0, 40)),
        ("2018-06-20", "2018-06-21", (0, 40)),
        (None, "2018-06-21T12:10", (0, 10)),
    ],
)
def test_any_span_can_be_asked_for(
    service: Path, begin: str | None, end: str | None, minutes: tuple[float, float]
) -> None:
    summary = read_service(service, AskedSpan(begin, end)).summary
    found = ((instant - NOON) / timedelta(minutes=1) for instant in (summary.start, summary.end))
    assert tuple(found) == minutes


@pytest.mark.parametrize(
    ("begin", "end", "words"),
    [
        ("yesterday", None, "--from: got yesterday; allowed: a local date 2026-11-30 or time"),
        (None, "12.30", "--to: got 12.30"),
        ("2018-06-22", None, "a span within the telemetry, 2018-06-21T12:00:00+02:00 to 2018-06-21T12:39:30+02:00"),
        ("2018-06-21T12:20", "2018-06-21T12:10", "a span within the telemetry"),
    ],
)
def test_a_span_without_telemetry_is_refused(service: Path, begin: str | None, end: str | None, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_service(service, AskedSpan(begin, end))
    assert words in str(caught.value)


def test_the_command_that_reproduces_it_is_in_local_time(service: Path) -> None:
    page = Page(write_service_report(service, AskedSpan(None, "2018-06-21T12:10")).read_text(encoding="utf-8"))
    span = "--from 2018-06-21T12:00:00+02:00 --to 2018-06-21T12:10:00+02:00"
    assert f"gridlab report RUN {span}" in page.text


def test_of_more_than_a_day_the_last_one_is_reported() -> None:
    first, last = datetime(2026, 10, 20, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC)
    begin, end = ALL.within(first, last, ZURICH)
    assert (begin, end) == (datetime(2026, 10, 24, 22, tzinfo=UTC), last)
    begin, end = AskedSpan("2026-10-25").within(first, datetime(2026, 10, 30, tzinfo=UTC), ZURICH)
    assert end - begin == timedelta(hours=25) - MOMENT, "the clocks change on that day"


def test_a_run_of_an_older_service_cannot_be_reported(service: Path) -> None:
    (service / SERVICE).unlink()
    assert is_service(service)
    with pytest.raises(InputError, match=f"{SERVICE}: got no readable file; allowed: a run of this version"):
        read_service(service, ALL)


def test_the_same_report_keeps_its_name_and_another_one_does_not_replace_it(service: Path) -> None:
    first = write_service_report(service, ALL)
    before = first.read_bytes()
    assert write_service_report(service, ALL) == first
    second = write_service_report(service, AskedSpan("2018-06-21T12:10"))
    assert second == service / "report-2.html"
    assert write_service_report(service, AskedSpan("2018-06-21T12:10")) == second
    assert first.read_bytes() == before
    assert {path.name for path in service.glob("figures*")} == {"figures", "figures-2"}


def test_a_simulated_run_keeps_its_reports_too(simulated: Path, tmp_path: Path) -> None:
    folder, other = (Path(shutil.copytree(simulated, tmp_path / name)) for name in ("one", "other"))
    first = write_report(folder)
    compared = write_report(folder, other)
    assert (first.name, compared.name) == ("report.html", "report-2.html")


def test_money_is_in_the_currency_of_the_configuration(service: Path) -> None:
    data = json.loads((service / SERVICE).read_text(encoding="utf-8"))
    data["scenario"]["currency"] = "EUR"
    (service / SERVICE).write_text(json.dumps(data), encoding="utf-8")
    html = write_service_report(service, ALL).read_text(encoding="utf-8")
    assert "EUR" in html
    assert "CHF" not in html
