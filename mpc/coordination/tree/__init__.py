"""A tree of aggregators (paper B): each is an operator to its children and a prosumer to its parent."""
