"""The grid is a tree: nodes in order, and every fault of topology with its line."""

from math import hypot

import pytest

from core.network import GridLimits, Line, Network, topology_faults


def line(name: str, r_ohm: float = 0.1, x_ohm: float = 0.0) -> Line:
    begin, end = name.split("-")
    return Line(begin, end, r_ohm, x_ohm)


def test_nodes_begin_with_the_slack() -> None:
    network = Network("S", 400, (line("A-B"), line("S-A"), line("B-C")))
    assert network.nodes == ("S", "A", "B", "C")
    assert [network.index(node) for node in network.nodes] == [0, 1, 2, 3]
    assert network.lines[0].name == "A-B"


@pytest.mark.parametrize(
    ("names", "faults"),
    [
        ("S-A A-B B-C", []),
        ("A-S B-A", []),
        ("S-A A-B B-S", [(2, "closes a loop")]),
        ("S-A A-S", [(1, "given twice")]),
        ("S-A A-B A-B", [(2, "given twice")]),
        ("S-A B-B", [(1, "itself"), (None, "not connected to the slack node S: B")]),
        ("S-A B-C C-D", [(None, "not connected to the slack node S: B, C, D")]),
        ("A-B", [(None, "the slack node S is at no line")]),
        ("", [(None, "the slack node S is at no line")]),
    ],
)
def test_topology(names: str, faults: list[tuple[int | None, str]]) -> None:
    found = list(topology_faults("S", [line(name) for name in names.split()]))
    assert [k for k, _ in found] == [k for k, _ in faults]
    assert all(words in text for (_, text), (_, words) in zip(found, faults, strict=True))


def test_zero_impedance() -> None:
    assert list(topology_faults("S", [line("S-A", 0, 0)])) == [(0, "line S-A has zero impedance")]


def test_no_tree_is_no_network() -> None:
    with pytest.raises(ValueError, match="closes a loop.*; not connected"):
        Network("S", 400, (line("S-A"), line("B-C"), line("C-D"), line("D-B")))


def test_slack_limits_lie_on_the_circle() -> None:
    limits = GridLimits(0.95, 1.05, slack_s_max_kva=25, slack_pf_min=0.99)
    assert hypot(limits.slack_p_max_kw, limits.slack_q_max_kvar) == pytest.approx(25)
    assert limits.slack_q_max_kvar == pytest.approx(3.527, abs=1e-3)
