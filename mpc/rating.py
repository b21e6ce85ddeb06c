"""The rating of a site's converters, as rows of its prosumer's program.

The net power x = x_fixed + M y of a site with the rating S stays in the polygon inscribed in the disc |x| ≤ S, with the
unit normals n_k and the offset d of :func:`core.resources.inscribed_polygon`:

    n_k·x_t ≤ max(d, n_k·x_fixed,t)

If the fixed demand lies beyond an edge, this edge moves out to it: the load is supplied, and nothing is added in its
direction, so y = 0 is always feasible. There are rows only in steps in which the bounds of y let |x_t| exceed S, and
for edges that x_t can reach; the program of a site that cannot exceed its rating has none.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from core.arrays import FloatArray
from core.resources import inscribed_polygon
from mpc.resources.block import Variable


def rating_rows(
    s_max_kva: float, x_fixed: FloatArray, variables: Sequence[Variable]
) -> tuple[sp.csr_matrix, FloatArray]:
    """Rows G y ≤ h over the variables of all steps, those of a step side by side.

    Args:
        x_fixed: fixed demand, [T, 2] in kW and kvar.
        variables: of one step.

    Returns:
        G [R, T · variables] and h [R] in kVA; R = 0 if the rating cannot be exceeded.
    """
    normals, offset = inscribed_polygon(s_max_kva)
    axes = np.vstack([np.eye(2), -np.eye(2)])
    beyond = np.hypot(*_reach(axes, x_fixed, variables).reshape(-1, 2, 2).max(axis=1).T) > s_max_kva
    wanted = beyond[:, None] & (_reach(normals, x_fixed, variables) > offset)
    along_fixed = x_fixed @ normals.T
    h = np.maximum(offset, along_fixed) - along_fixed
    effect = normals @ np.array([variable.demand for variable in variables]).T
    g = sp.kron(sp.identity(len(x_fixed)), effect, format="csr")
    return g[np.flatnonzero(wanted)], h[wanted]


def _reach(directions: FloatArray, x_fixed: FloatArray, variables: Sequence[Variable]) -> FloatArray:
    """Largest component of x along unit vectors [K, 2] within the bounds of its variables, [T, K]."""
    reach = x_fixed @ directions.T
    for variable in variables:
        if any(variable.demand):
            effect = directions @ np.array(variable.demand)
            lower, upper = (np.broadcast_to(bound, len(x_fixed)) for bound in (variable.lower, variable.upper))
            reach += np.maximum(np.outer(lower, effect), np.outer(upper, effect))
    return reach
