"""The control service: devices, plans and the 30 s loop, alive for as long as a ``with`` block."""
