"""Grafana's dashboards and alert rules of a configuration, as the files under configs/grafana.

Needs the extra ``gridlab[grafana]``.
"""
