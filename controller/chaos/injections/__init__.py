"""The injection of each fault; numbers are those of docs/reliability.md."""
