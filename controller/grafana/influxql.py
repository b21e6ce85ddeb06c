"""Queries in InfluxQL, in the dialect that InfluxDB 1.x, 2.x (with a DBRP mapping) and 3.x share.

Grafana replaces ``$timeFilter`` by the dashboard's range and ``$__interval`` by the width of a bucket.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.grafana.sdk import Builder, Dataquery, common

SOURCE_UID = "gridlab"
SOURCE = common.DataSourceRef(type_val="influxdb", uid=SOURCE_UID)
RANGE = "$timeFilter"
Columns = Mapping[str, str]
"""Name of a column → expression."""


@dataclass(frozen=True)
class Query(Builder[Dataquery], Dataquery):
    """A query of a panel. ``alias`` names its series (``$tag_x``, ``$col``); with ``table`` it fills one table."""

    text: str
    alias: str = "$col"
    table: bool = False
    ref: str = "A"

    def build(self) -> Dataquery:
        """Part of the SDK's builder interface: the query itself."""
        return self

    def to_json(self) -> dict[str, object]:
        """The form that Grafana's InfluxDB data source stores."""
        alias = {} if self.table else {"alias": self.alias}
        return {
            "refId": self.ref,
            "datasource": SOURCE,
            "query": self.text,
            "rawQuery": True,
            "resultFormat": "table" if self.table else "time_series",
            **alias,
        }


def value(field: str) -> str:
    """The unchanged value of a point."""
    return f'"{field}"'


def mean(field: str) -> str:
    """Mean of a bucket."""
    return f'mean("{field}")'


def least(field: str) -> str:
    """Smallest value of a bucket."""
    return f'min("{field}")'


def most(field: str) -> str:
    """Largest value of a bucket."""
    return f'max("{field}")'


def last(field: str) -> str:
    """Last value of a bucket; also of text."""
    return f'last("{field}")'


def text(value: str) -> str:
    """A text literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def over_time(source: str, columns: Columns, by: str | None = None, where: str | None = None) -> str:
    """One value per bucket (and per value of the tag ``by``); a bucket without data is null, so that a gap is
    visible.
    """
    buckets = "time($__interval)" + (f', "{by}"' if by else "")
    return f"{points(source, columns, where)} GROUP BY {buckets} fill(null)"


def in_range(source: str, columns: Columns, by: str | None = None, where: str | None = None) -> str:
    """One row for the range, or one per value of the tag ``by``."""
    return points(source, columns, where) + (f' GROUP BY "{by}"' if by else "")


def points(source: str, columns: Columns, where: str | None = None) -> str:
    """Every point of a measurement, or every row of the subquery that :func:`rows_of` returns."""
    names = ", ".join(f'{expression} AS "{name}"' for name, expression in columns.items())
    source_text = source if source.startswith("(") else f'"{source}"'
    conditions = f"{where} AND {RANGE}" if where else RANGE
    return f"SELECT {names} FROM {source_text} WHERE {conditions}"


def rows_of(query: str) -> str:
    """A query as a subquery, in place of a measurement."""
    return f"({query})"


def increase(measurement: str, counter: str) -> str:
    """Increase of a counter in the range; a restart, after which it begins at zero, does not count."""
    steps = points(measurement, {"step": f'non_negative_difference("{counter}")'})
    return in_range(rows_of(steps), {counter: 'sum("step")'})


def tag_values(measurement: str, tag: str) -> str:
    """The values of a tag, for a variable."""
    return f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "{tag}" WHERE {RANGE}'
