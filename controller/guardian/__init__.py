"""The guardian: a small process that brings converters to their safe state when the service falls silent."""
