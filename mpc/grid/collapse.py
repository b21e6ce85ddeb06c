"""Where and when a grid cannot carry a load: beyond the largest share that has a power flow, voltage collapses."""

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from mpc.grid.power_flow import ComplexArray, PowerFlow

HALVINGS = 12
"""The share that can be carried is found to 1 / 4096 of the load."""


@dataclass(frozen=True)
class Collapse:
    """A load without power flow.

    Attributes:
        step: index of the step with the largest such load.
        steps: how many steps have none.
        load_kva: P + jQ of all nodes together in that step.
        share: the largest share of it, of every node alike, that has a power flow.
        node: where the voltage is lowest at that share.
    """

    step: int
    steps: int
    load_kva: complex
    share: float
    node: str


def collapse(flow: PowerFlow, demand_kva: ComplexArray, v_slack_pu: FloatArray) -> Collapse | None:
    """The worst of the steps whose demand [T, n] (P + jQ of all nodes but the slack) has no power flow; None if all
    have one.
    """
    failed = np.flatnonzero(~flow.solve(-demand_kva, v_slack_pu).solved)
    if not len(failed):
        return None
    totals = demand_kva.sum(axis=1)
    t = int(failed[np.abs(totals[failed]).argmax()])
    load, v_slack = demand_kva[t : t + 1], v_slack_pu[t : t + 1]
    carried, too_much = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (carried + too_much) / 2
        if flow.solve(-middle * load, v_slack).solved.all():
            carried = middle
        else:
            too_much = middle
    v_pu = np.abs(flow.solve(-carried * load, v_slack).v[0])
    return Collapse(t, len(failed), complex(totals[t]), carried, flow.network.nodes[1 + int(v_pu.argmin())])
