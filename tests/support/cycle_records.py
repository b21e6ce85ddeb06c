"""Records as the loop produces them, for the default number of nodes and devices."""

from datetime import UTC, datetime, timedelta

from controller.record.records import CycleRecord, DeviceRecord, LimitsRecord, MpcRecord, ProsumerRecord
from core.devices import Quality

START = datetime(2018, 6, 21, 10, tzinfo=UTC)
LIMITS = LimitsRecord(0.95, 1.05, 24.75, 3.53, {"N1-N2": 60.0})
PROSUMERS = ("N3", "N4", "N5", "N7", "N9")


def prosumer(n: int, soc: float | None = 0.5) -> ProsumerRecord:
    x = 0.1 * n + 1 / 3
    return ProsumerRecord(
        p_target_kw=x,
        q_target_kvar=-x,
        p_setpoint_kw=2 * x,
        q_setpoint_kvar=-2 * x,
        p_measured_kw=None if n == 0 else 3 * x,
        q_measured_kvar=None if n == 0 else -3 * x,
        load_kw=4 * x,
        pv_kw=0.0,
        battery_kw=-0.0,
        soc=soc,
        v_measured_pu=1.0 + 1e-3 * n,
        tariff_chf_per_kwh=0.2,
        price_chf_per_kwh=0.25,
        compensation_chf=-0.01,
        cost_chf=0.1 * n,
        rung="use",
        reasons=("battery_saturated", "ramp") if n % 2 else (),
        pv_kvar=-0.5,
    )


def cycle(k: int, soc: float | None = 0.5) -> CycleRecord:
    return CycleRecord(
        time=START + timedelta(seconds=30 * k),
        prosumers={name: prosumer(n, soc) for n, name in enumerate(PROSUMERS)},
        nodes={f"N{n}": 1 - 1e-3 * n for n in range(1, 10)},
        lines={f"N{n}-N{n + 1}": 1.5 * n for n in range(1, 9)},
        slack_p_kw=3.5,
        slack_q_kvar=None,
        devices={f"d{n}": DeviceRecord(1.25, Quality.GOOD, 0.5) for n in range(14)},
        limits=LIMITS,
        violation_pu=0.0,
        mode="active",
        cycle_ms=12.5,
        missed=0,
        plan_age_s=60.0,
        backlog=1,
        dropped=0,
        dead_letters=0,
    )


def mpc(k: int, gap_rel: float | None = 1e-4) -> MpcRecord:
    return MpcRecord(
        START + timedelta(minutes=10 * k), "converged", 21, 180.5, gap_rel, 2e-5, 1e-3, 2e-3, 6e4, adopted=True
    )
