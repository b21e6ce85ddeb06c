"""Composition root: command line, run directories, reports, and everything that owns time and files."""
