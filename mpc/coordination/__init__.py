"""Coordination of prosumers by prices: a frame of nodes, messages and rounds, and one short module per algorithm."""
