"""What a run leaves behind: audit trail, journal, telemetry and tables."""
