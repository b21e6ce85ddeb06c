"""The four kinds of panels: a chart over time, a number of now, states over time, a table."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from string import ascii_uppercase

from controller.grafana.influxql import SOURCE, Query
from controller.grafana.sdk import (
    Builder,
    Dataquery,
    build,
    common,
    model,
    parts,
    stat,
    statetimeline,
    table,
    tables,
    timeseries,
)
from controller.grafana.style import LIMITS, Colours, Properties, as_limit, fixed, mapping, steps

Panel = Builder[model.Panel]
BUCKET = "1m"
"""Narrowest bucket: two cycles, so that one late cycle is no gap and two lost ones are."""
NOW = "5m"
"""How far back a number of now is looked for; older ones are no longer shown."""
MPC_GAP_MS = 25 * 60_000
"""Runs of the MPC further apart than this, two and a half of its intervals, are not joined by a line."""
WIDTH, HEIGHT = 12, 8


class Chart(timeseries.Panel):
    """Values over time; where data are missing the line is broken."""

    def __init__(self, title: str, says: str, unit: str, *queries: Query, width: int = WIDTH) -> None:
        super().__init__()
        self.title(title).description(says).unit(unit).datasource(SOURCE).interval(BUCKET).span(width).height(HEIGHT)
        self.targets(_referenced(queries)).override_by_regexp(LIMITS, as_limit())
        self.span_nulls(False).line_width(1.5).fill_opacity(0).show_points(common.VisibilityMode.NEVER)
        self.color_scheme(build.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        legend = parts.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST)
        self.legend(legend.placement(common.LegendPlacement.BOTTOM).calcs(["lastNotNull"]))
        tooltip = parts.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
        self.tooltip(tooltip.sort(common.SortOrder.DESCENDING))

    def series(self, properties: Iterable[tuple[str, Properties]]) -> "Chart":
        """Name of a series → its looks."""
        for name, of_it in properties:
            self.override_by_name(name, of_it)
        return self

    def colours(self, colours: Colours) -> "Chart":
        """Name of a series → its colour."""
        return self.series((name, fixed(colour)) for name, colour in colours.items())

    def limit(self, value: float, colour: str) -> "Chart":
        """A line that does not change with time."""
        style = parts.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        self.thresholds(steps((value, colour), base="transparent")).thresholds_style(style)
        return self

    def logarithmic(self) -> "Chart":
        """Powers of ten on the axis."""
        self.scale_distribution(parts.ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10))
        return self

    def runs(self) -> "Chart":
        """Points of the MPC, joined unless runs are missing between them."""
        self.insert_nulls(MPC_GAP_MS).show_points(common.VisibilityMode.ALWAYS).point_size(4)
        return self

    def stairs(self) -> "Chart":
        """A value holds until the next one."""
        self.line_interpolation(common.LineInterpolation.STEP_AFTER)
        return self


class Number(stat.Panel):
    """A value, large. ``now``: only a recent one, so that a silent service leaves it empty."""

    def __init__(self, title: str, says: str, unit: str, query: Query, *, width: int = 4, now: bool = True) -> None:
        super().__init__()
        self.title(title).description(says).unit(unit).datasource(SOURCE).with_target(query).span(width).height(4)
        self.no_value("no data").graph_mode(common.BigValueGraphMode.NONE)
        self.color_mode(common.BigValueColorMode.NONE)
        self.reduce_options(parts.ReduceDataOptions().values(False).calcs(["lastNotNull"]).fields(""))
        if now:
            self.time_from(NOW).hide_time_override(True)

    def alarming(self, *bounds: tuple[float, str]) -> "Number":
        """Good below the first bound."""
        self.color_mode(common.BigValueColorMode.BACKGROUND_SOLID).thresholds(steps(*bounds))
        return self

    def words(self, colours: Colours) -> "Number":
        """The value is text."""
        self.color_mode(common.BigValueColorMode.BACKGROUND_SOLID).mappings(mapping(colours))
        self.reduce_options(parts.ReduceDataOptions().values(False).calcs(["lastNotNull"]).fields("/^(?!Time$).*$/"))
        return self

    def since(self) -> "Number":
        """How long ago the value was written, in place of it."""
        self.reduce_options(parts.ReduceDataOptions().values(False).calcs(["lastNotNull"]).fields("/^Time$/"))
        return self


class States(statetimeline.Panel):
    """Words over time, one row per series; where data are missing the bar is broken."""

    def __init__(
        self, title: str, says: str, colours: Colours, *queries: Query, width: int = WIDTH, height: int = HEIGHT
    ) -> None:
        super().__init__()
        self.title(title).description(says).datasource(SOURCE).interval(BUCKET).span(width).height(height)
        self.targets(_referenced(queries)).mappings(mapping(colours)).merge_values(True)
        self.show_value(common.VisibilityMode.AUTO).row_height(0.85).fill_opacity(80).line_width(0)
        legend = parts.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST)
        self.legend(legend.placement(common.LegendPlacement.BOTTOM).calcs([]))


class TablePanel(table.Panel):
    """A table of one query. ``units``: column → unit; ``words``: column → colours of its words."""

    def __init__(
        self,
        title: str,
        says: str,
        query: Query,
        *,
        units: Mapping[str, str] | None = None,
        words: Mapping[str, Colours] | None = None,
        width: int = WIDTH,
    ) -> None:
        super().__init__()
        self.title(title).description(says).datasource(SOURCE).with_target(query).span(width).height(HEIGHT)
        self.show_header(True).cell_height(common.TableCellHeight.SM).cell_options(common.TableAutoCellOptions())
        options = self.build().options
        assert isinstance(options, tables.Options)
        options.footer = None  # which newer versions of Grafana keep elsewhere
        for column, unit in (units or {}).items():
            self.override_by_name(column, [model.DynamicConfigValue("unit", unit)])
        for column, colours in (words or {}).items():
            coloured = model.DynamicConfigValue("custom.cellOptions", {"type": "color-background"})
            self.override_by_name(column, [model.DynamicConfigValue("mappings", mapping(colours)), coloured])

    def without(self, *columns: str) -> "TablePanel":
        """Columns that say nothing here."""
        excluded = {"excludeByName": dict.fromkeys(columns, True), "indexByName": {}, "renameByName": {}}
        self.with_transformation(model.DataTransformerConfig("organize", options=excluded))
        return self


def _referenced(queries: Iterable[Query]) -> list[Builder[Dataquery]]:
    return [replace(query, ref=letter) for letter, query in zip(ascii_uppercase, queries, strict=False)]
