"""Where the nodes of a radial grid stand in a one-line diagram."""

from collections import defaultdict
from dataclasses import dataclass

from core.network import Network


@dataclass(frozen=True)
class Place:
    """``column``: lines between the node and the slack; ``row``: the feeder that it is drawn on."""

    column: int
    row: int


def layout(network: Network) -> dict[str, Place]:
    """Every node at a place of its own, no line through another's node.

    A node stands in the row of its first child, and the subtrees of the others follow below: each leaf has a row, and
    the first feeder runs straight from the slack to its end.
    """
    children: dict[str, list[str]] = defaultdict(list)
    for parent, child in outward(network).values():
        children[parent].append(child)
    places: dict[str, Place] = {}
    rows = 0
    waiting = [(network.slack, 0)]
    while waiting:
        node, column = waiting.pop()
        places[node] = Place(column, rows)
        waiting += [(child, column + 1) for child in reversed(children[node])]
        rows += not children[node]
    return places


def outward(network: Network) -> dict[str, tuple[str, str]]:
    """Line → its end nearer to the slack and the other one, in the order of the lines."""
    fed = {name: node for node, name in network.feeds.items()}
    return {
        line.name: (line.from_node if fed[line.name] == line.to_node else line.to_node, fed[line.name])
        for line in network.lines
    }
