"""Evaluation of a finished run: settlement, voltages, energy balance, model check, and the summary of all of them."""
