"""Computations without a closed loop: a day ahead, and the paper's studies of the penalty."""
