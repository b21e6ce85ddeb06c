"""What a finished run is judged by: settlement, voltages, energy balance, model check, and the closing of them all."""
