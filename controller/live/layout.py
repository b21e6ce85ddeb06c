"""Positions of the nodes of a radial grid in a one-line diagram."""

from collections import defaultdict
from dataclasses import dataclass

from core.network import Network


@dataclass(frozen=True)
class NodePosition:
    """``column``: number of lines between the node and the slack; ``row``: the feeder on which it is drawn."""

    column: int
    row: int


def layout(network: Network) -> dict[str, NodePosition]:
    """A position for every node, such that no line is drawn through another node.

    A node is in the row of its first child; the subtrees of its other children follow below. So each leaf has its own
    row, and the first feeder is straight from the slack to its end.
    """
    children: dict[str, list[str]] = defaultdict(list)
    for parent, child in outward_ends(network).values():
        children[parent].append(child)
    places: dict[str, NodePosition] = {}
    rows = 0
    waiting = [(network.slack, 0)]
    while waiting:
        node, column = waiting.pop()
        places[node] = NodePosition(column, rows)
        waiting += [(child, column + 1) for child in reversed(children[node])]
        rows += not children[node]
    return places


def outward_ends(network: Network) -> dict[str, tuple[str, str]]:
    """Line → its end nearer to the slack and its other end, in the order of the lines."""
    fed_node = {name: node for node, name in network.feeds.items()}
    return {
        line.name: (line.from_node if fed_node[line.name] == line.to_node else line.to_node, fed_node[line.name])
        for line in network.lines
    }
