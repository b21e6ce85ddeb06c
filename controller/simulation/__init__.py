"""Closed-loop runs against the simulated plant: the clock master, and the summary of a finished run."""
