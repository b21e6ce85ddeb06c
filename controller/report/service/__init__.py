"""The report of a service in real time: any span of its telemetry and audit trail."""
