"""Solvers: quadratic programs that change only their vectors, and convex programs in cvxpy."""
