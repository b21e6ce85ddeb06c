"""The plant with its sockets: Modbus TCP and OPC UA servers, the control socket, and its own time."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from core.config_devices import Device
from sim_plant.control import RequestError, serve_control
from sim_plant.faults import FaultError
from sim_plant.laboratory import Laboratory
from sim_plant.link_faults import LinkFault
from sim_plant.opcua_server import OpcUaServer
from sim_plant.proxy import Proxy
from sim_plant.referee import FrameLog
from sim_plant.reports import Answer, address, counts, truth
from sim_plant.serving import open_modbus, open_opcua
from sim_plant.settings import PlantConfig

TICK_S = 0.1
"""Wall time (s) between two advances of a plant that is not in lock step."""


@dataclass(frozen=True)
class Plant:
    """A running plant. ``devices``: as configured, at the addresses where they really listen.

    ``proxies``: the proxy in front of each device, by name; devices at one address share it.
    """

    laboratory: Laboratory
    devices: tuple[Device, ...]
    stopping: asyncio.Event
    opcua: tuple[OpcUaServer, ...]
    proxies: Mapping[str, Proxy]
    control_port: int = 0

    async def advance(self, t_s: float) -> None:
        """Bring everything to ``t_s`` (s since the start).

        Raises:
            PlantError: ``t_s`` is before the current time.
        """
        self.laboratory.advance(t_s)
        for server in self.opcua:
            await server.publish()
        for proxy in dict.fromkeys(self.proxies.values()):
            await proxy.release(t_s)

    async def switch(self, fault: str, device: str, *, on: bool, number: float | None = None) -> None:
        """Begin or end a fault of a device or of its link.

        Raises:
            FaultError, PlantError: the device cannot have it, or there is no such device.
        """
        station = self.laboratory.station(device)
        possible = (*station.instrument.possible, *LinkFault)
        if fault not in possible:
            raise FaultError(f"{device}: asked fault {fault}, allowed {', '.join(possible)}")
        if fault in tuple(LinkFault):
            await self.proxies[device].switch(LinkFault(fault), device, on=on, number=number)
        else:
            station.switch(fault, on=on, number=number)

    async def answer(self, request: object) -> Answer:
        """Execute one request of the control socket; the table is in ``control``.

        Raises:
            GridlabError: the request is unknown or fails.
        """
        laboratory = self.laboratory
        match request:
            case {"advance_to": int() | float() as t_s}:
                if laboratory.config.pace is not None:
                    raise RequestError("plant: asked to advance, allowed only in lock step")
                return await self._advanced(t_s)
            case {"slack_pu": int() | float() | None as v_pu}:
                laboratory.hold_slack(v_pu)
                return await self._advanced(laboratory.now_s())
            case {"supply_step_pu": int() | float() as by_pu}:
                laboratory.step_supply(by_pu)
                return await self._advanced(laboratory.now_s())
            case {"fault": str(fault), "device": str(device), "on": bool(on), **rest}:
                number = rest.get("number")
                if not isinstance(number, int | float | None):
                    raise RequestError(f"{device}: asked fault {fault} with {number}, allowed a number or none")
                await self.switch(fault, device, on=on, number=number)
                return await self._advanced(laboratory.now_s())
            case {"ask": "referee" | "truth" | "devices" as what}:
                return self._report(what)
            case {"stop": True}:
                self.stopping.set()
                return {"stopping": True}
        raise RequestError(f"plant: asked {request}, allowed advance_to, slack_pu, supply_step_pu, fault, ask, stop")

    def _report(self, what: str) -> Answer:
        if what == "devices":
            return {device.name: address(device) for device in self.devices}
        return truth(self.laboratory) if what == "truth" else counts(self.laboratory.recorder.tally)

    async def _advanced(self, t_s: float) -> Answer:
        await self.advance(t_s)
        return {"at": t_s}


@asynccontextmanager
async def open_plant(config: PlantConfig) -> AsyncIterator[Plant]:
    """Run the plant with all its servers. At the end of the block they are closed and the referee's file is complete.

    Raises:
        GridlabError: a configuration without a valid plant, or a port in use.
    """
    async with AsyncExitStack() as stack:
        recorder = stack.enter_context(FrameLog(config.start, config.frames))
        laboratory = Laboratory(config, recorder, None if config.pace is None else _paced_clock(config.pace))
        modbus = await open_modbus(stack, laboratory)
        opcua, servers = await open_opcua(stack, laboratory)
        served = modbus | opcua
        devices = tuple(served[device.name].device for device in config.devices)
        proxies = {name: device.proxy for name, device in served.items()}
        plant = Plant(laboratory, devices, asyncio.Event(), servers, proxies)
        port = await stack.enter_async_context(serve_control(plant.answer, config.control_port))
        if config.pace is not None:
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(tasks.create_task(_advance_forever(plant)).cancel)
        yield replace(plant, control_port=port)


def _paced_clock(pace: float) -> Callable[[], float]:
    start_s = time.monotonic()
    return lambda: (time.monotonic() - start_s) * pace


async def _advance_forever(plant: Plant) -> None:
    while True:
        await plant.advance(plant.laboratory.now_s())
        await asyncio.sleep(TICK_S)
