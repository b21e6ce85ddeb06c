"""What the reports of a plan and of a closed loop both show: a planned day, its files, figures and chapters."""
