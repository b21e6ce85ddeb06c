"""Resources as blocks of a prosumer's program: one file per kind."""
