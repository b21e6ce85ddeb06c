"""The data of the report of a span of a service."""

import json
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd

from controller.record.audit_check import AUDIT
from controller.record.audit_lines import AuditNote, AuditWrite
from controller.report.loop.record import SampledRecord, minutes
from controller.report.primitives.participants import participants
from controller.report.primitives.summary import parse
from controller.report.service.span import AskedSpan
from controller.report.service.summary import ServiceFile, ServiceSummary, summarised
from controller.report.service.telemetry import audited, extent, service_tables
from controller.runs.description import SERVICE
from core.errors import Fault, InputError


@dataclass(frozen=True)
class ServiceRecord(SampledRecord):
    """The data of the report of a span of a service.

    Attributes:
        alarms: rows of the telemetry: ``time``, ``alarm``, ``standing``, ``severity``, ``text``.
        writes, notes: of the audit trail.
    """

    summary: ServiceSummary
    alarms: pd.DataFrame
    writes: tuple[AuditWrite, ...]
    notes: tuple[AuditNote, ...]


def read_service(folder: Path, asked: AskedSpan) -> ServiceRecord:
    """Read a span of a run of ``serve``.

    Raises:
        InputError: the run has no description or no telemetry, or none in the span that is asked for.
        RecordError: the audit trail cannot be read.
    """
    file = _description(folder)
    database, zone = folder / file.scenario.telemetry, ZoneInfo(file.scenario.timezone)
    begin, end = asked.within(*extent(database), zone)
    audit = audited(folder / AUDIT, begin, end)
    tables = service_tables(database, (begin, end), audit, file.converters, zone)
    summary, recording = summarised(file, tables), tables.recording
    unmoved = dict.fromkeys(file.converters, (0.0, 0.0))
    exchange = tables.service[["slack_p_kw", "slack_q_kvar"]].astype(float).set_axis(["p_kw", "q_kvar"], axis=1)
    return ServiceRecord(
        summary=summary,
        axis=minutes(summary.start, summary),
        recording=recording,
        i_a=tables.i_a,
        slack=exchange,
        cycle_ms=tables.service["cycle_ms"].astype(float),
        participants=participants(file.scenario, unmoved, list(file.converters), recording.v_pu),
        pv_available_kw=None,
        alarms=tables.alarms,
        writes=audit.writes,
        notes=audit.notes,
    )


def is_service(folder: Path) -> bool:
    """Whether a folder is a run of ``serve``: it has no summary of its own."""
    return not (folder / "summary.json").exists() and ((folder / SERVICE).exists() or (folder / AUDIT).exists())


def _description(folder: Path) -> ServiceFile:
    path = folder / SERVICE
    try:
        return parse(ServiceFile, json.loads(path.read_text(encoding="utf-8")), folder)
    except (OSError, ValueError) as error:
        allowed = f"a run of this version's `gridlab serve`, which writes {SERVICE} when it starts"
        raise InputError([Fault(str(folder), SERVICE, "no readable file", allowed)]) from error
