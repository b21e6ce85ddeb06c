"""Run directories: where they are, their tables and summaries, written and read back."""
