"""Run directories: where they are, and their tables and summaries, written and read back."""
