"""Terminal output: progress, tables, results."""
