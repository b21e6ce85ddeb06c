"""Measured comparisons (``python -m benchmarks``) and the figures of the docs (``python -m benchmarks.figures``).

A benchmark is a module with a function ``run`` that yields tables. Every claim about speed is a ratio of two times
measured alternately in one process.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported; with more threads a busy machine
#                                                     would measure their waiting instead of the algorithms
