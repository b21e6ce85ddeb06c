"""Parts of a report that plans and closed loops share: a planned day, its files, figures and chapters."""
