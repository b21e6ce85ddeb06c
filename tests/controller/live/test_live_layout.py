from hypothesis import given
from hypothesis import strategies as st

from controller.live.layout import NodePosition, layout, outward_ends
from core.config import Config
from core.network import Line, Network
from tests.support.synthetic import radial_network


def test_the_default_grid_is_two_feeders(gridlab9_config: Config):
    places = layout(gridlab9_config.grid.network())
    assert places == {
        **{f"N{n}": NodePosition(n - 1, 0) for n in range(1, 6)},
        **{f"N{n}": NodePosition(n - 4, 1) for n in range(6, 10)},
    }


def test_a_line_given_against_the_feed_leads_outward():
    network = Network("S", 400.0, (Line("A", "S", 1.0, 1.0), Line("B", "A", 1.0, 1.0)))
    assert outward_ends(network) == {"A-S": ("S", "A"), "B-A": ("A", "B")}
    assert layout(network) == {"S": NodePosition(0, 0), "A": NodePosition(1, 0), "B": NodePosition(2, 0)}


@given(n_nodes=st.integers(2, 40), seed=st.integers(0, 1000))
def test_nodes_have_places_of_their_own_and_no_line_crosses_one(n_nodes: int, seed: int):
    network = radial_network(n_nodes, seed)
    places = layout(network)
    assert set(places) == set(network.nodes)
    assert len(set(places.values())) == n_nodes
    for parent, child in outward_ends(network).values():
        a, b = places[parent], places[child]
        assert b.column == a.column + 1
        assert b.row >= a.row
        assert not [p for p in places.values() if p.column == a.column and a.row < p.row <= b.row]
