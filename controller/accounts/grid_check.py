"""Check of the grid model against measured voltages: does the power flow behind the prices describe this grid?

The AC power flow computes |V| from the measured demand of every node and the measured supply voltage; it is compared
with the voltages that meters measure. A wrong impedance, node or sign shows as an error that grows with the power
drawn; without load only the meters are compared.
"""

from collections.abc import Mapping

import numpy as np

from controller.accounts.model_check import ModelCheck
from core.config import Config
from core.devices import Measurement, Quality
from mpc.grid.power_flow import PowerFlow
from realtime.timing import POLL_S


class GridCheck:
    """Compares readings of the devices of a configuration with its grid; built once.

    The demand of a node is what its meter measures, else the sum of the converters of its prosumers, else zero.
    """

    def __init__(self, config: Config) -> None:
        self._flow = PowerFlow(config.grid.network())
        self._meters = config.meter_at
        self._owned = {
            node: [p.converters for p in config.prosumers if p.node == node] for node in self._flow.network.nodes
        }

    def after(self, check: ModelCheck | None, readings: Mapping[str, Measurement]) -> ModelCheck | None:
        """The check with one snapshot added; unchanged if the demand of a node or the supply voltage is unknown.

        Args:
            check: of earlier snapshots, None if there are none.
            readings: by device; only those of quality GOOD count that are less than one poll older than the newest.
        """
        errors = self._errors(simultaneous(readings))
        if not errors:
            return check
        node, worst_pu = max(errors.items(), key=lambda item: item[1])
        total_pu, samples = sum(errors.values()), len(errors)
        if check is None:
            return ModelCheck(total_pu / samples, worst_pu, node, samples)
        if check.worst_pu >= worst_pu:
            node, worst_pu = check.worst_node, check.worst_pu
        total_pu, samples = total_pu + check.mean_pu * check.samples, samples + check.samples
        return ModelCheck(total_pu / samples, worst_pu, node, samples)

    def _errors(self, good: Mapping[str, Measurement]) -> dict[str, float]:
        """Error (p.u.) by node with a meter; if the model has no solution for a demand, its voltages are 0."""
        slack, *nodes = self._flow.network.nodes
        demands = [self._demand_kva(node, good) for node in nodes]
        known = [demand for demand in demands if demand is not None]
        measured = {node: self._voltage_pu(node, good) for node in nodes}
        v_slack_pu = self._voltage_pu(slack, good)
        if v_slack_pu is None or len(known) < len(nodes):
            return {}
        flow = self._flow.solve(-np.array([known]), np.array([v_slack_pu]))
        modelled = dict(zip(nodes, np.abs(flow.v[0]).tolist(), strict=True))
        return {node: abs(modelled[node] - v_pu) for node, v_pu in measured.items() if v_pu is not None}

    def _voltage_pu(self, node: str, good: Mapping[str, Measurement]) -> float | None:
        reading = good.get(self._meters.get(node, ""))
        return reading.v_pu if reading else None

    def _demand_kva(self, node: str, good: Mapping[str, Measurement]) -> complex | None:
        meter = good.get(self._meters.get(node, ""))
        if meter is not None:
            return _power_kva(meter)
        owned = self._owned[node]
        powers = [_power_kva(good.get(name)) for names in owned for name in names]
        known = [power for power in powers if power is not None]
        return sum(known, 0j) if all(owned) and len(known) == len(powers) else None


def simultaneous(readings: Mapping[str, Measurement]) -> dict[str, Measurement]:
    """Readings of quality GOOD that are less than one poll older than the newest."""
    good = {name: reading for name, reading in readings.items() if reading.quality is Quality.GOOD}
    newest_s = max((reading.received_s for reading in good.values()), default=0.0)
    return {name: reading for name, reading in good.items() if newest_s - reading.received_s < POLL_S}


def _power_kva(reading: Measurement | None) -> complex | None:
    if reading is None or reading.p_kw is None or reading.q_kvar is None:
        return None
    return complex(reading.p_kw, reading.q_kvar)
