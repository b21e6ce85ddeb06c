"""What every report is made of: markup, SVG, colours, amounts, times."""
