"""Data types that all packages share: signs and units, time, grid, assets, prices, plans, errors, configuration.

**Sign convention: demand is positive.** Consumption is > 0, generation < 0, for active and reactive power alike. The
one exception is named for what it does: ``battery_kw`` > 0 discharges (it lowers the demand of its node).

Powers in kW and kvar, energies in kWh, voltages in p.u. of the nominal line-to-line voltage, currents in A, prices in
CHF/kWh (or the scenario's currency), states of charge in [0, 1], time steps in hours.
"""
