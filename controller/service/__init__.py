"""The control service: devices, plans and the real-time loop, alive for the duration of a ``with`` block."""
