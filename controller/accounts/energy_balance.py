"""Check of the emulated batteries: the energy that the controller has booked against the plant's true energy.

A battery exists only in the controller, which integrates measured power. The true energy of its node, less load and PV
as they were in force, is what a real battery in its place would have delivered:

    true energy = Σ (load_p − g) Δt − ∫ p dt        booked energy = discharged − charged

from the first cycle to the last. Their difference is the error of measurement and timing.
"""

from dataclasses import dataclass

from controller.process.answers import BatteryAccount

BALANCED = 0.01
"""Largest difference, relative to the throughput, of a correct account."""
NO_THROUGHPUT_KWH = 1e-9


@dataclass(frozen=True)
class EnergyBalance:
    """Energy at a battery's terminals (kWh); net energies are > 0 if more was discharged than charged.

    ``estimated_kwh`` of the throughput was booked from setpoints, without a measurement; ``unexplained_kwh`` was
    charged into a full battery or discharged from an empty one. ``difference_rel`` is relative to the throughput, None
    without any.
    """

    charged_kwh: float
    discharged_kwh: float
    estimated_kwh: float
    unexplained_kwh: float
    booked_kwh: float
    true_kwh: float
    difference_kwh: float
    difference_rel: float | None


def energy_balance(battery: BatteryAccount, load_kwh: float, pv_kwh: float, drawn_kwh: float) -> EnergyBalance:
    """Compare a battery's account with the energy drawn by its node's converter, less load and PV in force (kWh)."""
    throughput_kwh = battery.discharged_kwh + battery.charged_kwh
    booked_kwh, true_kwh = battery.discharged_kwh - battery.charged_kwh, load_kwh - pv_kwh - drawn_kwh
    difference_kwh = booked_kwh - true_kwh
    return EnergyBalance(
        charged_kwh=battery.charged_kwh,
        discharged_kwh=battery.discharged_kwh,
        estimated_kwh=battery.estimated_kwh,
        unexplained_kwh=battery.unexplained_kwh,
        booked_kwh=booked_kwh,
        true_kwh=true_kwh,
        difference_kwh=difference_kwh,
        difference_rel=difference_kwh / throughput_kwh if throughput_kwh > NO_THROUGHPUT_KWH else None,
    )
