"""A tree of aggregators as data, and every fault of it in one line."""

from dataclasses import replace

import numpy as np
import pytest

from core.hierarchy import Branch, BranchRow, Hierarchy, PowerLimits
from core.hierarchy_faults import hierarchy_faults

T = 4
ROW = BranchRow("v", {"a": np.array([0.01, 0.004]), "h1": np.full((T, 2), 0.02)}, upper=np.full(T, 0.05))
LIMITED = PowerLimits(p_min_kw=np.full(T, -3.0), p_max_kw=np.full(T, 3.0))
TREE = Hierarchy(
    (Branch("b", "a", LIMITED), Branch("root", rows=(ROW,)), Branch("a", "root")),
    {"h1": "root", "h2": "a", "h3": "b", "h4": "b"},
)


def lines(tree: Hierarchy) -> list[str]:
    return [str(fault) for fault in hierarchy_faults(tree, T, "tree.yaml")]


def with_limits(limits: PowerLimits) -> Hierarchy:
    return replace(TREE, branches=(Branch("b", "a", limits), *TREE.branches[1:]))


def with_row(**changes: object) -> Hierarchy:
    return replace(TREE, branches=(TREE.branches[0], Branch("root", rows=(replace(ROW, **changes),)), TREE.branches[2]))


def test_a_sound_tree_has_its_order_levels_and_leaves() -> None:
    assert lines(TREE) == []
    assert TREE.root.name == "root"
    assert [branch.name for branch in TREE.top_down] == ["root", "a", "b"]
    assert TREE.level == {"root": 0, "a": 1, "b": 2}
    assert TREE.children == {"root": ("a", "h1"), "a": ("b", "h2"), "b": ("h3", "h4")}
    assert TREE.n_leaves == {"h1": 1, "h2": 1, "h3": 1, "h4": 1, "b": 2, "a": 3, "root": 4}


def test_a_shorter_horizon_shortens_every_series() -> None:
    rest = TREE.after(1)
    assert hierarchy_faults(rest, T - 1, "tree.yaml") == []
    assert rest.by_name["root"].rows[0].coefficients["h1"].shape == (T - 1, 2)


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (
            replace(TREE, branches=(*TREE.branches, Branch("b", "root"))),
            ['tree.yaml: branches[3].name: got "b"; allowed: a name that no other branch or prosumer has'],
        ),
        (
            replace(TREE, leaves={**TREE.leaves, "a": "root"}),
            ['tree.yaml: prosumers[4].name: got "a"; allowed: a name that no other branch or prosumer has'],
        ),
        (
            replace(TREE, leaves={**TREE.leaves, "h5": "c"}),
            ['tree.yaml: prosumers[4].branch: got "c"; allowed: the name of a branch'],
        ),
        (
            replace(TREE, branches=(*TREE.branches, Branch("second")), leaves={**TREE.leaves, "x": "second"}),
            ["tree.yaml: branches[3].parent: got nothing; allowed: a branch: root is the root, and there is only one"],
        ),
        (
            replace(TREE, branches=(Branch("b", "nobody"), *TREE.branches[1:])),
            ['tree.yaml: branches[0].parent: got "nobody"; allowed: the name of a branch'],
        ),
        (
            replace(TREE, branches=(*TREE.branches, Branch("c", "d"), Branch("d", "c"))),
            ['tree.yaml: branches[3].parent: got "d"; allowed: no loop of parents (c → d → c)'],
        ),
        (
            Hierarchy((Branch("a", "a"),), {"h": "a"}),
            [
                "tree.yaml: branches: got no branch without a parent; allowed: exactly one, the root",
                'tree.yaml: branches[0].parent: got "a"; allowed: no loop of parents (a → a)',
            ],
        ),
        (
            replace(TREE, branches=(*TREE.branches, Branch("c", "root"))),
            ['tree.yaml: branches[3].name: got "c"; allowed: a branch with at least one child'],
        ),
        (
            with_limits(PowerLimits(p_max_kw=np.ones(3))),
            ["tree.yaml: branches[0].p_max_kw: got 3 values; allowed: one for each of 4 steps (kW)"],
        ),
        (
            with_limits(PowerLimits(q_min_kvar=np.array([0, 0, np.nan, 0]))),
            ["tree.yaml: branches[0].q_min_kvar: got nan in step 2; allowed: finite numbers (kvar)"],
        ),
        (
            with_limits(PowerLimits(np.ones(T), np.zeros(T))),
            ["tree.yaml: branches[0].p_min_kw: got 1 in step 0; allowed: at most the upper limit there, 0"],
        ),
        (
            with_row(coefficients={"h2": np.ones(2)}),
            ['tree.yaml: branches[1].rows[0].coefficients.h2: got "h2"; allowed: a child of the branch: a, h1'],
        ),
        (
            with_row(coefficients={"a": np.ones(3)}),
            [("tree.yaml: branches[1].rows[0].coefficients.a: got an array (3,); "
                "allowed: (per kW, per kvar), once or for each of 4 steps")],
        ),
        (
            with_row(coefficients={"a": np.array([np.nan, 0.0])}),
            ["tree.yaml: branches[1].rows[0].coefficients.a: got NaN or infinite; allowed: finite numbers"],
        ),
        (
            with_row(coefficients={"a": np.zeros(2)}),
            [("tree.yaml: branches[1].rows[0].coefficients: got no number but 0; "
                "allowed: at least one child with a number")],
        ),
        (
            with_row(upper=None),
            ["tree.yaml: branches[1].rows[0]: got neither lower nor upper; allowed: at least one of them"],
        ),
        (
            with_row(scale=0.0),
            ["tree.yaml: branches[1].rows[0].scale: got 0; allowed: a number > 0"],
        ),
        (
            with_row(lower=np.full(T, np.inf)),
            ["tree.yaml: branches[1].rows[0].lower: got inf in step 0; allowed: finite numbers (the unit of the row)"],
        ),
    ],
)  # fmt: skip
def test_one_line_per_fault(tree: Hierarchy, expected: list[str]) -> None:
    assert lines(tree) == expected
