"""The configuration file as types. Defaults, units and allowed values are defined here and nowhere else.

A file is read and checked by :func:`core.load.load_config`, which reports all its faults at once.
"""

from collections.abc import Mapping
from datetime import time
from math import ceil
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from core.config_coordination import CoordinationConfig
from core.config_devices import Converter, Device, ModbusMeter
from core.config_fields import (
    Constant,
    Count,
    Currency,
    Day,
    Document,
    Expected,
    FilePath,
    Kva,
    Minutes,
    Name,
    NotNegative,
    Number,
    Positive,
    RunFilePath,
    Seconds,
    Section,
    Series,
    SeriesFile,
    Share,
    Text,
    TimeOfDay,
    TimeZone,
    Variant,
    VoltagePu,
    lower_case,
)
from core.config_resources import ANY, Means, SiteConfig
from core.feeders import Feeder
from core.network import GridLimits, Line, Network, Shunt, joined
from core.prices import Tariff
from core.time import TimeAxis


class HorizonConfig(Section):
    """The planned day; days of 23 and 25 hours are supported."""

    date: Day
    timezone: TimeZone
    step_min: Minutes = 10

    def axis(self) -> TimeAxis:
        """The steps of the day.

        Raises:
            ValueError: they do not divide it; those of a configuration from ``load_config`` do.
        """
        return TimeAxis.day(self.date, self.timezone, self.step_min)


class BranchConfig(Section):
    """What lines and couplers have in common; ``in_service: false`` is an open switch."""

    name: Name | None = None
    from_node: Name = Field(alias="from")
    to_node: Name = Field(alias="to")
    i_max_a: Annotated[Positive, Field(description="a number > 0 A")] | None = None
    in_service: Annotated[bool, Field(strict=True, description="true or false")] = True


class LineConfig(BranchConfig):
    """A line; ``b_us`` is its total shunt susceptance in µS.

    ``parallel`` cables of the same kind are one line; impedance, susceptance and limit are those of one of them.
    ``ratio`` is the tap ratio of a transformer: the voltage (p.u.) at ``from`` without load that gives 1 at ``to``.
    """

    r_mohm: Annotated[NotNegative, Field(description="a number ≥ 0 mΩ")]
    x_mohm: Annotated[NotNegative, Field(description="a number ≥ 0 mΩ")]
    b_us: Annotated[NotNegative, Field(description="a number ≥ 0 µS")] = 0.0
    parallel: Count = 1
    ratio: Annotated[Number, Field(ge=0.5, le=2, description="a ratio from 0.5 to 2, of voltages in p.u.")] = 1.0

    def line(self) -> Line:
        """The line with impedances in ohm."""
        return Line(
            from_node=self.from_node,
            to_node=self.to_node,
            r_ohm=self.r_mohm / 1000 / self.parallel,
            x_ohm=self.x_mohm / 1000 / self.parallel,
            b_us=self.b_us * self.parallel,
            i_max_a=None if self.i_max_a is None else self.i_max_a * self.parallel,
            ratio=self.ratio,
            label=self.name,
        )


class CouplerConfig(BranchConfig):
    """A closed switch between two nodes, such as two sections of a busbar: a line without impedance."""

    coupler: Annotated[Literal[True], Field(description="true; an open coupler is `in_service: false`")]

    def line(self) -> Line:
        """The coupler as a line."""
        return Line(self.from_node, self.to_node, 0.0, 0.0, i_max_a=self.i_max_a, label=self.name)


class ShuntConfig(Section):
    """A shunt at a node, such as the magnetising branch of a transformer; a negative ``b_us`` is inductive."""

    node: Name
    g_us: Annotated[NotNegative, Field(description="a number ≥ 0 µS")] = 0.0
    b_us: Annotated[Number, Field(description="a number of µS")] = 0.0

    def shunt(self) -> Shunt:
        """The shunt as data of the network."""
        return Shunt(self.node, self.g_us, self.b_us)


class GridConfig(Section):
    """The radial grid and its supply voltage."""

    voltage_v: Annotated[Positive, Field(description="a line-to-line voltage > 0 V")]
    slack: Name
    slack_voltage_pu: Annotated[
        Expected[Series] | Series,
        Field(description="a number (p.u.), a section {file, column, …}, or a section {forecast, realised} of these"),
    ] = 1.0
    lines: Annotated[
        tuple[LineConfig | CouplerConfig, ...], Field(description="a list of lines {from, to, r_mohm, x_mohm}")
    ]
    shunts: Annotated[tuple[ShuntConfig, ...], Field(description="a list of shunts {node, g_us, b_us}")] = ()

    def slack_voltage(self, variant: Variant) -> SeriesFile | Constant | float:
        """The series of the supply voltage; a series given only once serves as both variants."""
        given = self.slack_voltage_pu
        return given.of(variant) if isinstance(given, Expected) else given

    def network(self) -> Network:
        """The grid as a tree of the lines in service, parallel cables as one.

        Raises:
            ValueError: it is no tree; a configuration from ``load_config`` is one.
        """
        lines = joined([line.line() for line in self.lines if line.in_service])
        shunts = tuple(shunt.shunt() for shunt in self.shunts)
        return Network(self.slack, self.voltage_v, tuple(lines.values()), shunts)


class LimitsConfig(Section):
    """Operating limits; for the MPC only, ``margin`` (p.u.) narrows the voltage band, and ``reactive_margin`` (kvar)
    the limit of reactive power at the slack.
    """

    v_min_pu: VoltagePu
    v_max_pu: VoltagePu
    slack_s_max_kva: Kva
    slack_pf_min: Share
    margin: Annotated[
        Literal["auto", "off"] | Annotated[NotNegative, Field(le=0.1)],
        Field(description="auto, off, or a number from 0 to 0.1 p.u."),
    ] = "auto"
    reactive_margin: Annotated[
        Literal["auto", "off"] | NotNegative, Field(description="auto, off, or a number ≥ 0 kvar")
    ] = "auto"

    def limits(self) -> GridLimits:
        """The limits without margin."""
        return GridLimits(self.v_min_pu, self.v_max_pu, self.slack_s_max_kva, self.slack_pf_min)


class FileTariff(SeriesFile):
    """Retail price per kWh from a file, and the remuneration of feed-in if it is lower."""

    feed_in: Series | None = None


class ConstantTariff(Constant):
    """One retail price per kWh, and the remuneration of feed-in if it is lower."""

    feed_in: Series | None = None


TariffConfig = Annotated[
    FileTariff | ConstantTariff,
    Field(description="a section {file, column, …} or {constant: …} in currency per kWh, optionally with feed_in"),
]


def tariff_of(section: FileTariff | ConstantTariff, means: Means) -> Tariff:
    """The tariff with its series; without ``feed_in`` it is paid for what is fed in too."""
    buy = means(section, ANY)
    return Tariff(buy, buy if section.feed_in is None else means(section.feed_in, ANY))


class ProsumerConfig(SiteConfig):
    """A prosumer at a node; ``converter`` names the devices that reproduce it in the laboratory, each a share of it.

    Without a converter it is a passive house: measured by the meter at its node or assumed as forecast, not controlled.
    """

    node: Name
    converter: Annotated[
        Name | Annotated[tuple[Name, ...], Field(min_length=1)] | None,
        Field(description="the name of a converter, or a list of names"),
    ] = None

    @property
    def converters(self) -> tuple[str, ...]:
        """Names of its converters, none for a passive house."""
        if self.converter is None:
            return ()
        return (self.converter,) if isinstance(self.converter, str) else self.converter


class FeederConfig(Section):
    """An aggregator of a feeder: its parent (null: the operator), its nodes, and limits of the power at its head."""

    name: Name
    parent: Name | None = None
    nodes: Annotated[tuple[Name, ...], Field(min_length=1, description="a list of nodes")]
    p_min_kw: Annotated[Number, Field(description="a number of kW")] | None = None
    p_max_kw: Annotated[Number, Field(description="a number of kW")] | None = None

    def feeder(self) -> Feeder:
        """The aggregator as data of the problem."""
        return Feeder(**dict(self))


class ScheduleConfig(Section):
    """Times and periods; times of day in the horizon's zone."""

    day_ahead_at: TimeOfDay = time(23)
    mpc_every_min: Minutes = 10
    realtime_s: Seconds = 30.0
    mpc_budget_s: Seconds = 60.0


class RealtimeConfig(Section):
    """The 30 s layer; ``voltage_slope``: whether it reacts to measured voltages by the slopes of the price signal."""

    voltage_slope: Annotated[Literal["auto", "off"], Field(description="auto or off")] = "auto"


SolverName = Annotated[
    Literal["piqp", "clarabel", "osqp", "proxqp", "daqp", "highs", "scs", "gurobi", "mosek", "cplex", "copt", "xpress"],
    BeforeValidator(lower_case),
    Field(description="piqp, clarabel, osqp, proxqp, daqp, highs, scs, gurobi, mosek, cplex, copt or xpress"),
]


class SolverConfig(Section):
    """Solvers by the names of cvxpy; ``piqp`` for prosumers is called directly."""

    prosumer: SolverName = "piqp"
    reference: SolverName = "clarabel"


class InfluxConfig(Section):
    """An InfluxDB that receives the points; its token is in a file of its own.

    Beyond this machine it must be reached by TLS, unless ``allow_clear_text`` says that token and points may be read on
    the way.
    """

    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+", description="an address such as http://127.0.0.1:8086")]
    org: Text
    bucket: Text
    token_file: FilePath
    allow_clear_text: Annotated[bool, Field(strict=True, description="true or false")] = False


class TelemetryConfig(Section):
    """Storage of points; ``sqlite`` is relative to the run directory, which keeps them up to these numbers of days and
    bytes.

    No point is kept that would use the last ``reserve_mb`` of the disk.
    """

    sqlite: RunFilePath = Path("telemetry.sqlite")
    keep_days: Positive = 90.0
    keep_mb: Positive = 2000.0
    reserve_mb: Positive = 256.0
    influx: InfluxConfig | None = None


class Config(Document):
    """The whole file."""

    horizon: HorizonConfig
    grid: GridConfig
    limits: LimitsConfig
    currency: Currency = "CHF"
    tariff: TariffConfig
    prosumers: Annotated[tuple[ProsumerConfig, ...], Field(description="a list of prosumers {name, node, load, …}")]
    hierarchy: Annotated[
        tuple[FeederConfig, ...], Field(description="a list of aggregators {name, parent, nodes, …}")
    ] = ()
    devices: Annotated[tuple[Device, ...], Field(description="a list of devices {name, kind, …}")] = ()
    schedule: ScheduleConfig = ScheduleConfig()
    realtime: RealtimeConfig = RealtimeConfig()
    coordination: CoordinationConfig = CoordinationConfig()
    solver: SolverConfig = SolverConfig()
    telemetry: TelemetryConfig = TelemetryConfig()

    @property
    def converters(self) -> Mapping[str, Converter]:
        """The converters among ``devices``, by name."""
        return {device.name: device for device in self.devices if isinstance(device, Converter)}

    @property
    def meters(self) -> Mapping[str, ModbusMeter]:
        """The meters among ``devices``, by name."""
        return {device.name: device for device in self.devices if isinstance(device, ModbusMeter)}

    @property
    def meter_at(self) -> Mapping[str, str]:
        """Node → name of its meter, the first one in ``devices``."""
        found: dict[str, str] = {}
        for name, meter in self.meters.items():
            found.setdefault(meter.node, name)
        return found

    @property
    def converters_of(self) -> Mapping[str, tuple[str, ...]]:
        """Prosumer → names of its converters, none for a passive house."""
        return {prosumer.name: prosumer.converters for prosumer in self.prosumers}

    @property
    def rating_kva_of(self) -> Mapping[str, float]:
        """Prosumer → sum of the ratings (kVA) of its converters; passive houses have no entry."""
        return {
            prosumer: sum(self.converters[name].s_max_kva for name in names)
            for prosumer, names in self.converters_of.items()
            if names
        }

    @property
    def passive(self) -> tuple[str, ...]:
        """Names of the prosumers without a converter: nobody controls them."""
        return tuple(prosumer.name for prosumer in self.prosumers if not prosumer.converters)

    @property
    def mpc_period_min(self) -> int:
        """Minutes between two runs of the MPC: ``mpc_every_min``, rounded up to whole steps of the horizon."""
        step_min = self.horizon.step_min
        return step_min * ceil(self.schedule.mpc_every_min / step_min)
