"""Figures of docs/algorithms, drawn from what the code really does: ``python -m benchmarks.figures [NAME …]``."""
