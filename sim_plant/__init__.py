"""The simulated laboratory: a grid, converters and meters behind real sockets, run as a separate process.

The physics (``grid``, ``converter``, ``meter``) and the checks (``referee``) know no socket; ``stations`` connect them
to the values that a server reads and writes; ``plant`` composes everything and keeps the time.
"""
