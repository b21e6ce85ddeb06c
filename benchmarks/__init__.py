"""Measured comparisons (``python -m benchmarks``) and the figures of the docs (``python -m benchmarks.figures``).

A benchmark is a module with a function ``run`` that yields tables. Every claim about speed is a ratio of two things
that were measured in turns in one process.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported; threads that wait for each other
#                                                     on a busy machine would be measured instead of the algorithms
