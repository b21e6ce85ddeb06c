"""Building blocks of all reports: markup, SVG, colours, numbers, times."""
