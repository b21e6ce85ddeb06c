"""The array type of all formulas."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
