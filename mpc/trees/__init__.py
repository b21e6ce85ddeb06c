"""Trees of aggregators beside their coordination: random cases, the central optimum, and an oracle."""
