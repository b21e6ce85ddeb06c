"""Telemetry of a quarter of an hour in an InfluxDB, as the service records it and an import sends it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from controller.record.export import ImportCounts, import_influx
from controller.record.records import Alarm, CycleRecord, DeviceRecord, LimitsRecord, Severity
from controller.record.telemetry import Telemetry
from core.devices import Quality
from tests.support.cycle_records import cycle, mpc
from tests.support.time_series_servers import Influxd, influx_config

CYCLES = 30
HOLE = range(10, 16)
"""Cycles that a history may lack: minutes five to seven."""
LIMITS = LimitsRecord(0.95, 1.05, 24.75, 3.53, {f"N{n}-N{n + 1}": 60.0 for n in range(1, 9)})
CONVERTER = DeviceRecord(1.25, Quality.GOOD, 0.5, "remote", "verified", 70.0, -2.0, 0.1, -2.0, 0.1)
METER = DeviceRecord(1.25, Quality.GOOD, 0.5, p_kw=1.0, q_kvar=0.2)
DEVICES = {f"d{n}": CONVERTER if n < 5 else METER for n in range(14)}


def healthy(k: int) -> CycleRecord:
    """A cycle in which nothing is wrong and nothing unknown."""
    record = cycle(k)
    measured = {n: replace(p, p_measured_kw=1.0, q_measured_kvar=0.1) for n, p in record.prosumers.items()}
    return replace(
        record, prosumers=measured, slack_q_kvar=0.5, limits=LIMITS, devices=DEVICES, plan_age_s=60.0, backlog=0
    )


def alarm(at: datetime) -> Alarm:
    return Alarm("voltage", Severity.ALARM, "N9", "1.0700 p.u., allowed 0.95 … 1.05 p.u.", at)


def troubled(k: int) -> CycleRecord:
    """A healthy cycle but for an alarm and for a write that was rejected."""
    record = healthy(k)
    rejected = {"d1": replace(CONVERTER, outcome="rejected")}
    return replace(record, alarms=(alarm(record.time),), devices={**record.devices, **rejected})


def imported(influxd: Influxd, bucket: str, records: Iterable[CycleRecord], folder: Path) -> datetime:
    """Send the records, and two MPC runs ten minutes apart, to a new database; the time of the last record."""
    influxd.create(bucket)
    path = folder / bucket / "telemetry.sqlite"
    with Telemetry(path) as telemetry:
        for record in records:
            telemetry.write(record)
        for k in range(2):
            telemetry.write(mpc(k))
    done = import_influx(path, influx_config(folder, influxd.proxy_port, bucket), lambda *_: None)
    assert done == ImportCounts(done.sent, 0)
    assert done.sent
    return record.time
