"""The grid as the operator knows it: power flow, linear rows, projection on them."""
