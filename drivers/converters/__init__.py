"""Kinds of converters, one module each."""
