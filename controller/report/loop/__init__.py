"""The report of a closed-loop run: what was asked, what was done, what left its limits and why, and what it cost."""
