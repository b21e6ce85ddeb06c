"""What every process of the control stack needs: clocks, lock, JSON lines of the clock master, heartbeat, modes,
errors.
"""
