"""Networks of other programs as configurations: read, resolved to a radial grid of one voltage, written."""
