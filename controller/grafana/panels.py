"""The four kinds of panels: a chart over time, a current number, states over time, a table."""

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
"""How old a current number may be; older ones are not shown."""
MPC_GAP_MS = 25 * 60_000
"""MPC runs further apart than this, two and a half of their intervals, are not joined by a line."""
WIDTH, HEIGHT = 12, 8


class Chart(timeseries.Panel):
    """Values over time; the line is interrupted where data are missing."""

    def __init__(self, title: str, description: str, unit: str, *queries: Query, width: int = WIDTH) -> None:
        super().__init__()
        self.title(title).description(description).unit(unit).datasource(SOURCE).interval(BUCKET).span(width).height(
            HEIGHT
        )
        self.targets(_referenced(queries)).override_by_regexp(LIMITS, as_limit())
        self.span_nulls(False).line_width(1.5).fill_opacity(0).show_points(common.VisibilityMode.NEVER)
        self.color_scheme(build.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        legend = parts.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST)
        self.legend(legend.placement(common.LegendPlacement.BOTTOM).calcs(["lastNotNull"]))
        tooltip = parts.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
        self.tooltip(tooltip.sort(common.SortOrder.DESCENDING))

    def series(self, properties: Iterable[tuple[str, Properties]]) -> "Chart":
        """Set the properties of series, by name."""
        for name, series_properties in properties:
            self.override_by_name(name, series_properties)
        return self

    def colours(self, colours: Colours) -> "Chart":
        """Set the colour of series, by name."""
        return self.series((name, fixed(colour)) for name, colour in colours.items())

    def limit(self, value: float, colour: str) -> "Chart":
        """Add a line at a constant value."""
        style = parts.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        self.thresholds(steps((value, colour), base="transparent")).thresholds_style(style)
        return self

    def logarithmic(self) -> "Chart":
        """Use powers of ten on the axis."""
        self.scale_distribution(parts.ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10))
        return self

    def runs(self) -> "Chart":
        """Mark every MPC run, joined by a line unless runs are missing in between."""
        self.insert_nulls(MPC_GAP_MS).show_points(common.VisibilityMode.ALWAYS).point_size(4)
        return self

    def stairs(self) -> "Chart":
        """Hold a value until the next one."""
        self.line_interpolation(common.LineInterpolation.STEP_AFTER)
        return self


class Number(stat.Panel):
    """A value in large type. ``now``: only a recent one, so that the panel is empty if the service is silent."""

    def __init__(
        self, title: str, description: str, unit: str, query: Query, *, width: int = 4, now: bool = True
    ) -> None:
        super().__init__()
        self.title(title).description(description).unit(unit).datasource(SOURCE).with_target(query).span(width).height(
            4
        )
        self.no_value("no data").graph_mode(common.BigValueGraphMode.NONE)
        self.color_mode(common.BigValueColorMode.NONE)
        self.reduce_options(parts.ReduceDataOptions().values(False).calcs(["lastNotNull"]).fields(""))
        if now:
            self.time_from(NOW).hide_time_override(True)

    def alarming(self, *bounds: tuple[float, str]) -> "Number":
        """Colour the value by bounds; below the first one it is good."""
        self.color_mode(common.BigValueColorMode.BACKGROUND_SOLID).thresholds(steps(*bounds))
        return self

    def words(self, colours: Colours) -> "Number":
        """Show text, coloured by its value."""
        self.color_mode(common.BigValueColorMode.BACKGROUND_SOLID).mappings(mapping(colours))
        self.reduce_options(parts.ReduceDataOptions().values(False).calcs(["lastNotNull"]).fields("/^(?!Time$).*$/"))
        return self

    def since(self) -> "Number":
        """Show how long ago the value was written instead of the value."""
        self.reduce_options(parts.ReduceDataOptions().values(False).calcs(["lastNotNull"]).fields("/^Time$/"))
        return self


class States(statetimeline.Panel):
    """Text states over time, one row per series; the bar is interrupted where data are missing."""

    def __init__(
        self, title: str, description: str, colours: Colours, *queries: Query, width: int = WIDTH, height: int = HEIGHT
    ) -> None:
        super().__init__()
        self.title(title).description(description).datasource(SOURCE).interval(BUCKET).span(width).height(height)
        self.targets(_referenced(queries)).mappings(mapping(colours)).merge_values(True)
        self.show_value(common.VisibilityMode.AUTO).row_height(0.85).fill_opacity(80).line_width(0)
        legend = parts.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST)
        self.legend(legend.placement(common.LegendPlacement.BOTTOM).calcs([]))


class TablePanel(table.Panel):
    """A table of one query. ``units``: column → unit; ``words``: column → colours of its texts."""

    def __init__(
        self,
        title: str,
        description: str,
        query: Query,
        *,
        units: Mapping[str, str] | None = None,
        words: Mapping[str, Colours] | None = None,
        width: int = WIDTH,
    ) -> None:
        super().__init__()
        self.title(title).description(description).datasource(SOURCE).with_target(query).span(width).height(HEIGHT)
        self.show_header(True).cell_height(common.TableCellHeight.SM).cell_options(common.TableAutoCellOptions())
        options = self.build().options
        assert isinstance(options, tables.Options)
        options.footer = None  # newer versions of Grafana store it elsewhere
        for column, unit in (units or {}).items():
            self.override_by_name(column, [model.DynamicConfigValue("unit", unit)])
        for column, colours in (words or {}).items():
            coloured = model.DynamicConfigValue("custom.cellOptions", {"type": "color-background"})
            self.override_by_name(column, [model.DynamicConfigValue("mappings", mapping(colours)), coloured])

    def without(self, *columns: str) -> "TablePanel":
        """Hide columns."""
        excluded = {"excludeByName": dict.fromkeys(columns, True), "indexByName": {}, "renameByName": {}}
        self.with_transformation(model.DataTransformerConfig("organize", options=excluded))
        return self


def _referenced(queries: Iterable[Query]) -> list[Builder[Dataquery]]:
    return [replace(query, ref=letter) for letter, query in zip(ascii_uppercase, queries, strict=False)]
