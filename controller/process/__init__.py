"""What any process of the control stack needs: clocks, lock, clock master's lines, heartbeat, modes, failures."""
