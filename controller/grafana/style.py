"""Colours, states and thresholds, the same in all panels. Colour is never the only information: values and names repeat
it.
"""

from collections.abc import Iterable, Mapping

from controller.grafana.sdk import build, model
from controller.live.site import PageSite

GOOD, WARN, BAD, NOTE, OFF = "#009E73", "#E69F00", "#D55E00", "#56B4E9", "#999999"
"""Distinguishable with every kind of colour vision (Okabe and Ito)."""
LIMIT = "#C4162A"
LIMITS = "/limit|budget/"
"""Pattern of the names of series that are limits."""

MODES = {"active": GOOD, "monitor": NOTE, "off": OFF}
RUNGS = {"use": GOOD, "hold": WARN, "safe": BAD}
QUALITIES = {"good": GOOD, "stale": WARN, "invalid": BAD}
STATES = {"remote": GOOD, "local": NOTE, "off": OFF, "safe": WARN, "fault": BAD}
OUTCOMES = {"verified": GOOD, "unknown": WARN, "rejected": BAD}
STATUSES = {"converged": GOOD, "budget": WARN, "iterations": WARN, "uncoordinated": NOTE, "infeasible": BAD}
SEVERITIES = {"warning": WARN, "alarm": BAD}

Colours = Mapping[str, str]
Properties = list[model.DynamicConfigValue]


def steps(*bounds: tuple[float, str], base: str = GOOD) -> build.ThresholdsConfig:
    """``base`` below the first bound, then the colour of the highest bound that is reached."""
    thresholds = [model.Threshold(None, base), *(model.Threshold(*bound) for bound in bounds)]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(thresholds)


def mapping(colours: Colours) -> list[model.ValueMapping]:
    """Colours of texts."""
    results = {w: model.ValueMappingResult(color=c, index=n) for n, (w, c) in enumerate(colours.items())}
    return [model.ValueMap(results)]


def fixed(colour: str, *, dashed: bool = False) -> Properties:
    """Properties of a series with a fixed colour."""
    properties = [model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})]
    return [*properties, *_DASHED] if dashed else properties


def as_limit() -> Properties:
    """Properties of a series that is a limit."""
    return [*fixed(LIMIT, dashed=True), model.DynamicConfigValue("custom.lineWidth", 1)]


def prosumer_series(site: PageSite) -> Iterable[tuple[str, Properties]]:
    """Name → properties of each prosumer's series: the colours of the live page and the report."""
    return ((p.name, fixed(p.colour, dashed=p.dashed > 0)) for p in site.prosumers)


def node_series(site: PageSite) -> Iterable[tuple[str, Properties]]:
    """Name → properties of each node's series: the colour of its first prosumer, or grey."""
    owners = {p.node: p for p in reversed(site.prosumers)}
    for node in site.places:
        owner = owners.get(node)
        yield node, fixed(owner.colour if owner else OFF, dashed=owner is None or owner.dashed > 0)


_DASHED = (model.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [6, 4]}),)
