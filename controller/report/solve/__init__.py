"""The report of a run of ``gridlab solve``: a page for all kinds of problems, and the figures of each in its module."""
