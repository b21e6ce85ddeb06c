"""Deadlines, and limits of the age of data: seconds, unless the name says otherwise."""

CYCLE_S = 30.0
"""One cycle: read all, decide, write all, read back."""
SOON = 1 / 6
"""Share of a cycle's period: a service that starts less than this before a cycle waits for it."""
CYCLE_DEADLINE_S = 20.0
READ_S, WRITE_S = 6.0, 8.0
"""Parts of the deadline; ``WRITE_S`` includes the read-back."""

POLL_S = 5.0
REQUEST_TIMEOUT_S = 1.0

USE_DATA_S = 12.0
"""Data up to this age are used."""
HOLD_DATA_S = 45.0
"""With data up to this age the last setpoint is held (apparent power may not grow); beyond it: the safe state."""
FRESH_POLLS = 3
"""Fresh readings that are required, with a valid plan, to leave the safe state."""

LEASE_S = 75.0
"""Life of a setpoint in the device; only a completed cycle renews it."""

MPC_BEST_S, MPC_KILL_S = 50.0, 55.0
"""Time after which the best iterate is requested, and after which the process is killed."""
INTRADAY_PLAN_S = 20 * 60.0
DAY_AHEAD_PLAN_S = 36 * 3600.0
"""Validity of a plan from the moment it was made."""

S_PER_H = 3600.0
