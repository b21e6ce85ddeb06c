"""Runs under faults, and the offline judge of what they recorded."""
