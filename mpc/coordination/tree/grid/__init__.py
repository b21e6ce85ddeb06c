"""A real grid under a tree of aggregators: every branch has the power flow and the limits of its own part."""
