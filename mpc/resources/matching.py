"""The block of each kind of resource."""

from typing import assert_never

from core.resources import Battery, Load, Pv, Resource
from mpc.resources.battery import BatteryBlock
from mpc.resources.block import Block
from mpc.resources.load import LoadBlock
from mpc.resources.pv import PvBlock


def block(resource: Resource, steps: int, dt_h: float, value_chf_per_kwh: float) -> Block:
    """The block of ``resource`` in a program of ``steps`` steps of ``dt_h`` hours; lost energy costs
    ``value_chf_per_kwh``.
    """
    match resource:
        case Battery():
            return BatteryBlock(resource, steps, dt_h, value_chf_per_kwh)
        case Pv():
            return PvBlock(resource, dt_h, value_chf_per_kwh)
        case Load():
            return LoadBlock(resource)
        case _:
            assert_never(resource)
