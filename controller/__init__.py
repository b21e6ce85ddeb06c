"""Composition root: command line, run directories, reports, and everything that owns time and files."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: on stacks of small matrices more threads only wait
