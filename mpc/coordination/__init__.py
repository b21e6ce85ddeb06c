"""Coordination of prosumers by prices: one frame (operator, nodes, rounds), one short file per algorithm."""
