"""The simulated laboratory: a grid, converters and meters behind real sockets. It runs as a process of its own.

Physics (``grid``, ``converter``, ``meter``) and judgement (``referee``) know no socket; ``stations`` join them to what
a server reads and writes; ``plant`` composes and owns time.
"""
