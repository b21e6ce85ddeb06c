"""Resources of the configuration. A new kind is a section with a method ``resource`` here, and a key of a prosumer."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from typing import Annotated, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import Field

from core.arrays import FloatArray
from core.config_fields import (
    Constant,
    Expected,
    Kva,
    LoadFile,
    Name,
    NotNegative,
    Positive,
    PositiveShare,
    Section,
    Series,
    SeriesFile,
    Share,
    Variant,
)
from core.profiles import Range
from core.resources import Battery, Capability, Load, Pv, Resource

Means = Callable[[SeriesFile | Constant | float, Range], FloatArray]
"""Reads a series whose values must lie in a range: means over the steps of a day, [T]."""
STANDBY_KW_PER_KWP = 0.05
"""An inverter draws less than this at night; larger negative powers are an error of sign."""
ANY = Range(-inf, inf, "any number")
_LOAD = Range(0, inf, "a load ≥ 0 kW (generation is `pv`; `net: true` if it is load minus generation)")
_PV = Range(0, inf, "an available power ≥ 0 kW per kWp", noise=STANDBY_KW_PER_KWP, dark=True)


@runtime_checkable
class ResourceSection(Protocol):
    """A section that describes a resource."""

    def resource(self, means: Means, variant: Variant) -> Resource:
        """The resource with its forecast, or with its realised series."""
        ...


class BatteryConfig(Section):
    """A battery; ``capability`` is the box inside the converter's disc, or the disc itself.

    ``soc_final_min`` is the state of charge that the day ends with at least; ``initial``: what it begins with.
    """

    s_max_kva: Kva
    energy_kwh: Annotated[Positive, Field(description="a number > 0 kWh")]
    soc_initial: Share = 0.5
    soc_min: Share = 0.1
    soc_max: Share = 0.9
    soc_final_min: Annotated[
        Share | Literal["initial"] | None, Field(description="a number from 0 to 1, initial, or null")
    ] = None
    efficiency: PositiveShare = 1.0
    capability: Annotated[Capability, Field(description="box or disc")] = Capability.BOX
    loss_rel: Share = 0.0
    wear_chf_per_kwh: NotNegative = 0.0

    def battery(self) -> Battery:
        """The battery as data for the optimisation."""
        return Battery(
            s_max_kva=self.s_max_kva,
            energy_kwh=self.energy_kwh,
            soc_initial=self.soc_initial,
            soc_min=self.soc_min,
            soc_max=self.soc_max,
            soc_final_min=self.soc_initial if self.soc_final_min == "initial" else self.soc_final_min,
            efficiency=self.efficiency,
            capability=self.capability,
            loss_rel=self.loss_rel,
            wear_chf_per_kwh=self.wear_chf_per_kwh,
        )

    def resource(self, _means: Means, _variant: Variant) -> Battery:
        """The battery, which has no series."""
        return self.battery()


class PvConfig(Expected[Series]):
    """A PV plant; its series is the available power in kW per kWp.

    Without ``s_max_kva`` it supplies active power only. With it, the inverter limits the output too, and supplies or
    draws reactive power within the disc, or the box inside.
    """

    name: Name | None = None
    peak_kw: Annotated[Positive, Field(description="a number > 0 kW")]
    s_max_kva: Kva | None = None
    capability: Annotated[Capability, Field(description="box or disc")] = Capability.DISC
    loss_rel: Share = 0.0

    def resource(self, means: Means, variant: Variant) -> Pv:
        """The plant with its available power."""
        available_kw = means(self.of(variant), _PV) * self.peak_kw
        plant = Pv(self.peak_kw, available_kw, self.loss_rel, self.s_max_kva, self.capability)
        return replace(plant, available_kw=np.minimum(available_kw, plant.power_box_kw))


class SiteConfig(Section):
    """A prosumer with what it has behind its meter."""

    name: Name
    battery: BatteryConfig | None = None
    pv: Annotated[
        PvConfig | tuple[PvConfig, ...] | None,
        Field(description="a section {peak_kw, forecast, …}, or a list of these"),
    ] = None
    load: Expected[LoadFile]

    @property
    def plants(self) -> Mapping[str, PvConfig]:
        """Its PV plants: ``pv``, or of a list ``pv_`` and their name or number."""
        if not isinstance(self.pv, tuple):
            return {"pv": self.pv} if self.pv else {}
        return {f"pv_{plant.name or k}": plant for k, plant in enumerate(self.pv, 1)}

    def resources(self, means: Means, variant: Variant) -> dict[str, Resource]:
        """Its resources, by the key of their section; those of a list as in :attr:`plants`."""
        sections = {name: section for name, section in self if isinstance(section, ResourceSection)}
        sections.update(self.plants)
        flexible = {name: section.resource(means, variant) for name, section in sections.items()}
        return {**flexible, "load": load_of(self.load.of(variant), means)}


def load_of(file: LoadFile, means: Means) -> Load:
    """The inflexible load of a prosumer, from its file."""
    return Load(means(file.active_kw, ANY if file.net else _LOAD), means(file.reactive_kvar, ANY))
