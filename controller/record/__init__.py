"""The records of a run: audit trail, journal, telemetry and tables."""
