"""Whole days against the simulated plant: the clock master and the accounts of a finished run."""
