"""Rules on the converters that a prosumer has together: a preference needs a choice, and somebody reactive power."""

from collections.abc import Iterator

from core.config import Config
from core.config_devices import Converter
from core.rules import BrokenRule, known


def rules_of_teams(config: Config) -> Iterator[BrokenRule]:
    """Rules on keys of devices that concern the other converters of the same prosumer."""
    prosumers = [p for p in getattr(config, "prosumers", ()) if known(p, "name", "converter")]
    owner = {name: prosumer for prosumer in prosumers for name in prosumer.converters}
    converters = {one.name: one for one in config.devices if isinstance(one, Converter)}
    for k, name in enumerate(one.name for one in config.devices):
        if name not in converters:
            continue
        prosumer, one = owner.get(name), converters[name]
        others = [converters[other] for other in prosumer.converters if other in converters] if prosumer else []
        if known(one, "priority") and one.priority != 0 and len(others) < 2:
            whose = f"{prosumer.name} has no other converter" if prosumer else "no prosumer has it"
            yield BrokenRule(f"devices[{k}].priority", f"{one.priority:g}", f"0, since {whose}")
        if others and one is others[0] and not any(getattr(other, "reactive", True) for other in others):
            allowed = f"true, or another converter of {owner[name].name} with reactive power"
            yield BrokenRule(f"devices[{k}].reactive", "false", allowed)
