"""Composition root: everything that owns time, files and processes, from run directories to the command line."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported: more threads slow small matrices down
