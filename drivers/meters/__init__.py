"""Meters, one file per family."""
