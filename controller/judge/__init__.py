"""The offline verdict on a recorded run: which invariants were broken, when each fault was detected, what it led to."""
