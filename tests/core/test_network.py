"""The grid is a tree: nodes in order, and every fault of topology with its line."""

from dataclasses import replace
from math import hypot

import pytest

from core.network import GridLimits, Line, Network, joined, topology_faults


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
        ("S-A A-B B-S", [(2, "line B-S closes a loop with A-B, S-A;")]),
        ("S-A B-C A-B C-D S-D D-E", [(4, "line S-D closes a loop with S-A, A-B, B-C, C-D;")]),
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
    assert [fault.line for fault in found] == [k for k, _ in faults]
    assert all(words in fault.got for fault, (_, words) in zip(found, faults, strict=True))


def test_a_name_is_that_of_one_line() -> None:
    lines = (Line("S", "F1", 1, 0), Line("F1", "F1-1", 1, 0), Line("F1", "1-2", 1, 0), Line("F1-1", "2", 1, 0))
    (fault,) = topology_faults("S", lines)
    assert (fault.line, fault.got) == (3, "line F1-1-2 has the name of the line from F1 to 1-2")
    with pytest.raises(ValueError, match="F1-1-2 has the name"):
        Network("S", 400, lines)
    named = Network("S", 400, (*lines[:3], replace(lines[3], label="house-2")))
    assert [each.name for each in named.lines] == ["S-F1", "F1-F1-1", "F1-1-2", "house-2"]
    assert named.feeds == {"F1": "S-F1", "F1-1": "F1-F1-1", "1-2": "F1-1-2", "2": "house-2"}


def test_cables_in_parallel_are_one_line() -> None:
    thin = Line("S", "A", 0.4, 0.0, 10.0, 100.0, label="thin")
    thick = Line("A", "S", 0.1, 0.0, 20.0, 250.0, label="thick")
    found = joined([line("A-B"), thin, line("B-C"), thick])
    assert list(found) == [0, 1, 2]
    one = found[1]
    assert (one.name, one.r_ohm, one.x_ohm, one.b_us) == ("thin+thick", pytest.approx(0.08), pytest.approx(0), 30.0)
    assert one.i_max_a == pytest.approx(312.5)  # the thick one carries four fifths


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Line("S", "A", 1, 1), Line("S", "A", 1, 1)),
        (Line("S", "A", 1, 1, label="one"), Line("S", "A", 1, 1)),
        (Line("S", "A", 1, 1, label="one"), Line("A", "S", 1, 1, label="one")),
        (Line("S", "A", 1, 1, label="one"), Line("S", "A", 0, 0, label="coupler")),
    ],
)
def test_what_is_not_meant_as_parallel_stays_a_fault(first: Line, second: Line) -> None:
    lines = list(joined([first, second]).values())
    assert [fault.got.endswith("is given twice") for fault in topology_faults("S", lines)] == [True]


def test_transformers_in_parallel_have_one_ratio() -> None:
    first, second = (Line("S", "A", r, 0.0, ratio=1.025, i_max_a=100, label=name) for r, name in ((1, "T1"), (3, "T2")))
    one = joined([first, second])[0]
    assert (one.name, one.ratio, one.r_ohm) == ("T1+T2", 1.025, pytest.approx(0.75))
    for other, words in (
        (replace(second, ratio=0.95), "1.025 from S and 0.95 from S"),
        (replace(second, from_node="A", to_node="S"), "1.025 from S and 1.025 from A"),
        (replace(second, ratio=1.0), "1.025 from S and 1 from S"),
    ):
        (fault,) = topology_faults("S", list(joined([first, other]).values()))
        assert fault.got == f"line T2 is parallel with T1, with ratios of {words}"


def test_no_tree_is_no_network() -> None:
    with pytest.raises(ValueError, match="closes a loop.*; not connected"):
        Network("S", 400, (line("S-A"), line("B-C"), line("C-D"), line("D-B")))


def test_slack_limits_lie_on_the_circle() -> None:
    limits = GridLimits(0.95, 1.05, slack_s_max_kva=25, slack_pf_min=0.99)
    assert hypot(limits.slack_p_max_kw, limits.slack_q_max_kvar) == pytest.approx(25)
    assert limits.slack_q_max_kvar == pytest.approx(3.527, abs=1e-3)
