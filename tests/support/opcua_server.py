"""A converter on a real asyncua server in a thread of the test's process, with values set by the test."""

# asyncua re-exports without saying so, and its NewTypes of numbers and times take plain ones.
# mypy: disable-error-code="attr-defined, arg-type"

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any, TypeVar

from asyncua import Server, ua
from asyncua.common.node import Node
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import AttributeService
from asyncua.server.internal_server import InternalServer

from drivers.opcua_model import NAMESPACE, VARIABLES

SAMPLED_AT = datetime(2018, 6, 21, 10, tzinfo=UTC)
SAYS: dict[str, float] = {
    "p_kw": 1.0,
    "q_kvar": -0.5,
    "v_v": 400.0,
    "s_max_kva": 15.0,
    "state": 2,
    "clock_s": SAMPLED_AT.timestamp(),
}
_TYPES = {variable.name: variable.type for variable in VARIABLES}
_PYTHON = {"Double": float, "UInt32": int, "Boolean": bool}
Prepare = Callable[[Server], Awaitable[None]]
T = TypeVar("T")


class FakeConverter:
    """The object n7, in namespace 5 of its server. Clients cannot write variables in ``refused``."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._nodes: dict[str, Node] = {}
        self._server: Server

    @property
    def port(self) -> int:
        assert self._server.bserver
        return self._server.bserver.port

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/lab/n7"

    def say(self, name: str, value: float | None, age_s: float | None = 0.0, status: int = ua.StatusCodes.Good) -> None:
        """Set a sample of that age by the device's clock; without an age it has no source time."""
        typed = None if value is None else _PYTHON[_TYPES[name]](value)
        kind = ua.VariantType.Null if value is None else ua.VariantType[_TYPES[name]]
        at = None if age_s is None else SAMPLED_AT - timedelta(seconds=age_s)
        data = ua.DataValue(ua.Variant(typed, kind), ua.StatusCode(status), SourceTimestamp=at)
        self.call(self._nodes[name].write_value(data))

    def reset(self) -> None:
        """Restore the initial values."""
        self.refused.clear()
        for variable in VARIABLES:
            self.say(variable.name, SAYS.get(variable.name, 0))

    def heard(self, *names: str) -> list[Any]:
        return [self.call(self._nodes[name].read_value()) for name in names]

    @contextmanager
    def away(self) -> Iterator[None]:
        """Stop listening and close all connections while the block lasts."""
        assert self._server.bserver
        self.call(self._server.bserver.stop())
        yield
        self.call(self._server.bserver.start())

    def call(self, act: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(act, self._loop).result(30)

    async def _set_up(self, prepare: Prepare | None, users: object) -> None:
        internal = InternalServer(user_manager=users)
        self._server = server = Server(internal)
        server.disable_clock()
        await server.init()
        internal.attribute_service = _Writes(internal.aspace, self)
        server.set_endpoint("opc.tcp://127.0.0.1:0")
        if prepare:
            await prepare(server)
        else:
            server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        for k in range(3):
            await server.register_namespace(f"urn:other:{k}")
        index = await server.register_namespace(NAMESPACE)
        thing = await server.nodes.objects.add_object(index, "n7")
        for variable in VARIABLES:
            start = _PYTHON[variable.type](0)
            node = await thing.add_variable(index, variable.name, start, ua.VariantType[variable.type])
            if variable.writable:
                await node.set_writable()
            self._nodes[variable.name] = node
        await server.start()

    @contextmanager
    def served(self, prepare: Prepare | None = None, users: object = None) -> Iterator["FakeConverter"]:
        thread = Thread(target=self._loop.run_forever)
        thread.start()
        try:
            self.call(self._set_up(prepare, users))
            self.reset()
            yield self
            self.call(self._server.stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()


class _Writes(AttributeService):
    def __init__(self, space: Any, fake: FakeConverter) -> None:
        super().__init__(space)
        self._fake = fake

    async def write(self, params: ua.WriteParameters, user: User = User(UserRole.Admin)) -> list[ua.StatusCode]:  # noqa: B008
        """Refuse the variables that the test wants refused."""
        codes = await super().write(params, user)
        refused = {node.nodeid for name, node in self._fake._nodes.items() if name in self._fake.refused}
        no = ua.StatusCode(ua.StatusCodes.BadOutOfRange)
        pairs = zip(params.NodesToWrite, codes, strict=True)
        return [no if write.NodeId in refused else code for write, code in pairs]
