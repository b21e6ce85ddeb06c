"""The block of each kind of resource."""

from typing import assert_never

from core.resources import Battery, Load, Pv, Resource
from mpc.resources.battery import BatteryBlock
from mpc.resources.block import Block
from mpc.resources.load import LoadBlock
from mpc.resources.pv import PvBlock


def block(resource: Resource, steps: int, dt_h: float) -> Block:
    """The block of ``resource`` in a program of ``steps`` steps of ``dt_h`` hours."""
    match resource:
        case Battery():
            return BatteryBlock(resource, steps, dt_h)
        case Pv():
            return PvBlock(resource)
        case Load():
            return LoadBlock(resource)
        case _:
            assert_never(resource)
