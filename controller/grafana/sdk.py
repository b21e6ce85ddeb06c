"""The parts of grafana-foundation-sdk in use: ``build`` and ``parts`` are builders, the others models.

On import it warns that it prefers the second version of Grafana's schema; the first is the one that every Grafana reads
from files and that ``@grafana/schema`` describes.
"""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import common as parts
    from grafana_foundation_sdk.builders import dashboard as build
    from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.variants import Dataquery
    from grafana_foundation_sdk.models import common
    from grafana_foundation_sdk.models import dashboard as model
    from grafana_foundation_sdk.models import table as tables

__all__ = [
    "Builder",
    "Dataquery",
    "JSONEncoder",
    "build",
    "common",
    "model",
    "parts",
    "stat",
    "statetimeline",
    "table",
    "tables",
    "timeseries",
]
