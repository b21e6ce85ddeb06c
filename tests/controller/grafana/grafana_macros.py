"""What Grafana does with a query before it sends it, and with the answers of an alert rule's queries."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

Series = list[dict[str, Any]]
Values = dict[str, float]
"""Tags of a series, as text → value."""
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """Of a duration such as ``2m``."""
    return int(text[:-1]) * _SECONDS[text[-1]]


def substituted(
    text: str, end: datetime, back_s: float, interval: str | None = None, variables: Mapping[str, str] | None = None
) -> str:
    """A query as it is sent, for the range that ends at ``end``."""
    begin_ms, end_ms = (round(1e3 * at.timestamp()) for at in (end - timedelta(seconds=back_s), end))
    text = text.replace("$timeFilter", f"time >= {begin_ms}ms and time <= {end_ms}ms")
    text = text.replace("$__interval", interval or "$__interval")
    for name, value in (variables or {}).items():
        text = text.replace(f"${name}", value)
    assert "$" not in text, text
    return text


def firing(rule: Mapping[str, Any], ask: Callable[[str], Series], end: datetime) -> tuple[str, ...]:
    """Tags of the alerts that fire, ``no data`` where the rule says so; by the rule's own expressions."""
    found: dict[str, Values] = {}
    series: dict[str, Series] = {}
    for step in rule["data"]:
        ref, model = step["refId"], step["model"]
        if "query" in model:
            series[ref] = ask(substituted(model["query"], end, step["relativeTimeRange"]["from"]))
        else:
            found[ref] = _evaluated(model, series, found)
    last = found[rule["condition"]]
    if not last:
        return ("no data",) if rule["noDataState"] == "Alerting" else ()
    return tuple(sorted(tags for tags, fires in last.items() if fires))


def _evaluated(model: Mapping[str, Any], series: Mapping[str, Series], found: Mapping[str, Values]) -> Values:
    expression = model["expression"]
    match model["type"]:
        case "reduce":
            assert (model["reducer"], model["settings"]) == ("last", {"mode": "dropNN"})
            return {_tags(one): values[-1] for one in series[expression] if (values := _known(one))}
        case "math":
            asked = re.fullmatch(r"abs\(\$(\w+)\) / \$(\w+)", expression)
            assert asked, expression
            values, limits = found[asked[1]], found[asked[2]]
            return {tags: abs(value) / limits[tags] for tags, value in values.items() if tags in limits}
        case "threshold":
            (condition,) = model["conditions"]
            assert condition["evaluator"]["type"] == "gt"
            (bound,) = condition["evaluator"]["params"]
            return {tags: float(value > bound) for tags, value in found[expression].items()}
        case kind:
            raise AssertionError(f"expression of the kind {kind}")


def _tags(series: Mapping[str, Any]) -> str:
    return " ".join(series.get("tags", {}).values())


def _known(series: Mapping[str, Any]) -> list[float]:
    return [row[1] for row in series["values"] if row[1] is not None]
