"""The grid as a tree seen from the slack: which nodes are behind which line, and the ratios of transformers on the way.

Voltages and currents are referred to the slack through all ratios: V' = τ V, I' = I / τ, so that powers stay.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray
from core.network import Network


@dataclass(frozen=True)
class GridTree:
    """L lines and n nodes, the slack first, in the order of the network.

    Attributes:
        behind: [n, L], 1 where a node is behind a line as seen from the slack.
        outward: [L], whether the from-end of a line is nearer to the slack.
        scale: τ of each node, [n].
        line_scale: τ at the impedance of each line, [L].
    """

    behind: FloatArray
    outward: NDArray[np.bool_]
    scale: FloatArray
    line_scale: FloatArray

    @classmethod
    def of(cls, network: Network) -> "GridTree":
        """Follow the lines from the slack outwards."""
        index = {node: n for n, node in enumerate(network.nodes)}
        place = {line.name: k for k, line in enumerate(network.lines)}
        behind = np.zeros((len(index), len(place)))
        outward = np.zeros(len(place), bool)
        scale, line_scale = np.ones(len(index)), np.ones(len(place))
        for node, name in network.feeds.items():
            child, k = index[node], place[name]
            line = network.lines[k]
            (parent,) = (index[end] for end in line.ends - {node})
            behind[child] = behind[parent]
            behind[child, k] = 1.0
            outward[k] = line.to_node == node
            scale[child] = scale[parent] * line.ratio if outward[k] else scale[parent] / line.ratio
            line_scale[k] = scale[child if outward[k] else parent]
        return cls(behind, outward, scale, line_scale)
