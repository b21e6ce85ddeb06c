"""The oracle sees what is wrong with profiles, each fault in one number or line."""

import numpy as np
import pytest

from core.resources import Pv
from core.scenario import Site
from mpc.trees.oracle import judge
from mpc.trees.random_tree import random_tree
from mpc.trees.scenario import TreeScenario

TREE = random_tree(11, levels=1, steps=24)
LOADS = {site.name: np.column_stack([site.outlook.load_kw, site.outlook.load_kvar]) for site in TREE.sites}
NAME = TREE.sites[0].name


def test_batteries_at_rest_are_possible_and_cost_the_bill() -> None:
    judged = judge(TREE, LOADS, 1.0)
    tariff, dt_h = TREE.problem.tariff, TREE.problem.axis.dt_h
    bills = sum(tariff.cost_chf(x[:, 0], dt_h) for x in LOADS.values())
    peak = TREE.problem.peak_weight_per_kw2 / 2 * np.sum(sum(x[:, 0] for x in LOADS.values()) ** 2)
    assert judged.impossible == ()
    assert judged.objective_chf == pytest.approx(bills + peak, rel=1e-12)


def test_a_battery_cannot_give_more_than_its_power() -> None:
    battery = TREE.sites[0].battery
    assert battery is not None
    x = LOADS[NAME].copy()
    x[3, 1] -= 1.5 * battery.power_box_kw
    (line,) = judge(TREE, LOADS | {NAME: x}, 1.0).impossible
    assert line.startswith(f"{NAME}: its battery gives {0.5 * battery.power_box_kw:.2g} kW more")


def test_a_battery_cannot_give_energy_for_ever() -> None:
    battery = TREE.sites[0].battery
    assert battery is not None
    x = LOADS[NAME] - np.array([0.5 * battery.power_box_kw, 0.0])
    (line,) = judge(TREE, LOADS | {NAME: x}, 1.0).impossible
    assert "state of charge leaves the band" in line


def test_the_worst_limit_is_named_and_priced() -> None:
    limit_kw = TREE.problem.hierarchy.root.limits.p_max_kw
    assert limit_kw is not None
    steps, price = len(limit_kw), 3.0
    total_kw = sum(x[:, 0] for x in LOADS.values())
    x = LOADS[NAME].copy()
    x[:, 0] += 100 * limit_kw - total_kw
    judged = judge(TREE, LOADS | {NAME: x}, price)
    assert judged.violation_rel >= 99
    assert judged.unheld_chf >= price * 99 * limit_kw[0] * steps * TREE.problem.axis.dt_h
    assert judged.worst.startswith("b0.")


def test_other_resources_are_refused() -> None:
    site = TREE.sites[0]
    with_pv = Site(site.name, site.node, {**site.resources, "pv": Pv(1.0, np.ones(24))})
    tree = TreeScenario(TREE.problem, (with_pv, *TREE.sites[1:]))
    with pytest.raises(ValueError, match="one load and at most one battery"):
        judge(tree, LOADS, 1.0)
