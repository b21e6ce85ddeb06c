"""The way of an emergency stop into a running process: a socket file that a thread of its own serves.

Standard library alone: nothing here waits for a solver, a driver, the event loop of the service or its HTTP server.
"""
