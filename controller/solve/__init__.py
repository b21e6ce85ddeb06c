"""``gridlab solve``: problems of several kinds by one command, solved by algorithms of mpc and recorded as runs.

:mod:`controller.solve.problem` is what a kind gets and gives, :mod:`controller.solve.kinds` lists the kinds, and each
kind has a module of its own.
"""
