"""The report of a closed-loop run: targets, what was done, violations with their causes, and costs."""
