"""Runs under injected faults, which the judge evaluates from their records."""
