"""How long things may take and how long they may be trusted: seconds, unless the name says otherwise."""

CYCLE_S = 30.0
"""One cycle: read all, decide, write all, read back."""
SOON = 1 / 6
"""Share of a cycle's period: whoever comes back so shortly before one waits for it."""
CYCLE_DEADLINE_S = 20.0
READ_S, WRITE_S = 6.0, 8.0
"""Shares of the deadline; ``WRITE_S`` includes the read-back."""

POLL_S = 5.0
REQUEST_TIMEOUT_S = 1.0

USE_DATA_S = 12.0
"""Data up to this age is used."""
HOLD_DATA_S = 45.0
"""Data up to this age holds the last setpoint (apparent power may not grow); beyond it: the safe state."""
FRESH_POLLS = 3
"""Fresh readings that it takes, with a valid plan, to leave the safe state."""

LEASE_S = 75.0
"""Life of a setpoint in the device; only a completed cycle renews it."""

MPC_BEST_S, MPC_KILL_S = 50.0, 55.0
"""Best iterate asked for; process ended."""
INTRADAY_PLAN_S = 20 * 60.0
DAY_AHEAD_PLAN_S = 36 * 3600.0
"""Validity of a plan from the moment it was made."""

S_PER_H = 3600.0
