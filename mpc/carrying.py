"""Whether a grid can carry a scenario at all, said before anything is coordinated.

Prosumers can lower their demand by their PV and batteries, down to what these give at most, for as long as it takes. If
none of the demands between the load and that has a power flow in a step, no plan has one either.
"""

from collections.abc import Iterator

import numpy as np

from core.errors import Fault, InputError
from core.resources import Battery, Pv
from core.scenario import Scenario
from core.time import TimeAxis
from mpc.grid.collapse import Collapse, collapse
from mpc.grid.power_flow import ComplexArray, PowerFlow

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of what PV and batteries give at most."""
UNIT_ERROR = 0.1
"""If less than this share of a load can be carried, its unit is likely wrong."""


def require_power_flow(scenario: Scenario, file: str) -> None:
    """Make sure that the grid can carry the load of every step.

    Raises:
        InputError: it cannot; ``file`` is the name of the configuration in the message.
    """
    if found := uncarried(scenario):
        raise InputError([_fault(found, scenario.axis, file)])


def uncarried(scenario: Scenario) -> Collapse | None:
    """The worst step in which nothing that the prosumers can do gives a power flow; None if there is none."""
    flow, v_slack = PowerFlow(scenario.network), scenario.slack_voltage_pu
    open_steps = np.arange(scenario.axis.n_steps)
    for demand in _demands(scenario):
        open_steps = open_steps[~flow.solve(-demand[open_steps], v_slack[open_steps]).solved]
        if not len(open_steps):
            return None
    left = _covered(*_load_and_support(scenario))[open_steps]
    found = collapse(flow, left, v_slack[open_steps])
    return None if found is None else Collapse(**{**vars(found), "step": int(open_steps[found.step])})


def _demands(scenario: Scenario) -> Iterator[ComplexArray]:
    """Demands of all nodes but the slack, [T, n]: the least that prosumers need, and on the way from load to export."""
    load, support = _load_and_support(scenario)
    yield _covered(load, support)
    for share in SHARES:
        yield load - share * support


def _covered(load: ComplexArray, support: ComplexArray) -> ComplexArray:
    """The load less what PV and batteries at the same node can cover of it."""
    p, q = (
        np.sign(a) * np.maximum(np.abs(a) - b, 0) for a, b in ((load.real, support.real), (load.imag, support.imag))
    )
    return np.asarray(p + 1j * q)


def _load_and_support(scenario: Scenario) -> tuple[ComplexArray, ComplexArray]:
    """Load of each node but the slack, and the most that PV and batteries there can give, [T, n]."""
    load, support = np.zeros((2, scenario.axis.n_steps, len(scenario.network.nodes) - 1), complex)
    for site in scenario.sites:
        node, outlook = scenario.network.index(site.node) - 1, site.outlook
        power_kw = sum(battery.power_box_kw for battery in site.each(Battery))
        reactive_kvar = power_kw + sum(plant.reactive_box_kvar for plant in site.each(Pv))
        load[:, node] += outlook.load_kw + 1j * outlook.load_kvar
        support[:, node] += outlook.pv_available_kw + complex(power_kw, reactive_kvar)
    return load, support


def _fault(found: Collapse, axis: TimeAxis, file: str) -> Fault:
    load = found.load_kva
    more = f" and in {found.steps - 1} more steps" if found.steps > 1 else ""
    got = (
        f"a load of {load.real:.5g} kW and {load.imag:.5g} kvar, beyond what PV and batteries cover, "
        f"at {axis.times[found.step]:%H:%M}{more}"
    )
    missing_kw = (1 - found.share) * load.real
    allowed = (
        f"at most {100 * found.share:.3g} % of it, {missing_kw:.5g} kW less; beyond that there is no power flow, "
        f"as the voltage at {found.node} collapses"
    )
    hint = "; are its series in W in place of kW?" if found.share < UNIT_ERROR else ""
    return Fault(file, "prosumers", got, f"{allowed}{hint}")
