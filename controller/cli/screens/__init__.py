"""What the terminal shows: progress, tables, results."""
