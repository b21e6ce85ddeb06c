"""The study of random trees of aggregators (paper B, section IV): both algorithms, judged by the central optimum."""
