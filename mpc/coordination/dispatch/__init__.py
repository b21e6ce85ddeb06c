"""Dispatch of many resources to one weighted target over several sectors, by sharing ADMM with proven bounds (paper D).

A resource turns an input s ∈ [0, capacity] into outputs x = η s over M sectors, at an own cost S'x. The coordinator
knows the target alone, and the sums of what it hears.

    min  g(Σ_i x_i) + Σ_i S_i'x_i      g(y) = Σ_m w_m |y_m − t_m|   or   ½ Σ_m w_m (y_m − t_m)²

:mod:`~mpc.coordination.dispatch.solve` solves it within one process, at once or over messages;
:mod:`~mpc.coordination.dispatch.coordinator` is the iteration of both. The coordinator cannot import what belongs to
the resources (:mod:`~mpc.coordination.dispatch.fleet`).
"""
