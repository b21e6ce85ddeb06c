"""Arrays as every formula here takes them."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
