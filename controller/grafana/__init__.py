"""Grafana dashboards and alert rules for a configuration, as files below configs/grafana.

Needs the extra ``gridlab[grafana]``.
"""
