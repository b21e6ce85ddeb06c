"""Converters, one file per way to talk to them."""
