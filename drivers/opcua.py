"""OPC UA on asyncua: one session with one converter object, opened when needed and closed after any failure.

The library's own reconnecting is off: a request would wait for it for up to a minute. Values are read with status and
source time, all in one request.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds

from drivers.exchange import TIMING, BadAnswerError, ExchangeError, NoAnswerError, RefusedError, Timing, within
from drivers.opcua_model import DEFAULT_OBJECT, NAMESPACE, VARIABLES
from drivers.opcua_security import Credentials

_NEVER_S = 1e6
_TYPES = {variable.name: ua.VariantType[variable.type] for variable in VARIABLES}
_WRITABLE = {variable.name for variable in VARIABLES if variable.writable}


@dataclass(frozen=True)
class Sample:
    """A value with its source time; None with ``problem`` if it is not good or not a finite number."""

    value: float | None
    source_at: datetime | None
    problem: str = ""


class OpcUaSession:
    """One session with one request at a time."""

    def __init__(self, url: str, credentials: Credentials | None, timing: Timing = TIMING) -> None:
        self._url, self._credentials, self._timing = url, credentials, timing
        self._object = urlsplit(url).path.strip("/").rpartition("/")[2] or DEFAULT_OBJECT
        self._lock = asyncio.Lock()
        self._client: Client | None = None
        self._nodes: dict[str, ua.NodeId] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        client, self._client = self._client, None
        if client:
            await self._close(client, broken=False)

    async def read(self, names: Iterable[str]) -> dict[str, Sample]:
        """Read those of the named variables that the object has.

        Raises:
            ExchangeError: no answer, or no such object.
        """
        async with self._connected() as client:
            known = {name: self._nodes[name] for name in names if name in self._nodes}
            values = await client.uaclient.read_attributes(list(known.values()), AttributeIds.Value)
            if len(values) != len(known):
                raise BadAnswerError(f"{self._url}: {len(values)} values, asked {len(known)}")
            return {name: _sample(name, value) for name, value in zip(known, values, strict=True)}

    async def write(self, values: Mapping[str, float]) -> None:
        """Write variables in one request; the device may still accept only some of them.

        Raises:
            ExchangeError: no answer, or refused.
        """
        for name, value in values.items():
            if name not in _WRITABLE or not isfinite(value):
                raise RefusedError(
                    f"{self._url}: asked {name} = {value}, allowed finite numbers of {sorted(_WRITABLE)}"
                )
        async with self._connected() as client:
            if missing := [name for name in values if name not in self._nodes]:
                raise BadAnswerError(f"{self._url}: {self._object} has no {missing}")
            nodes = [self._nodes[name] for name in values]
            data = [ua.DataValue(_variant(name, value)) for name, value in values.items()]
            codes = await client.uaclient.write_attributes(nodes, data)
        refused = [f"{name}: {code.name}" for name, code in zip(values, codes, strict=False) if not code.is_good()]
        if refused or len(codes) != len(values):
            raise RefusedError(f"{self._url}: {', '.join(refused) or 'not all values answered'}")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        """The session for one request; any failure closes the session."""
        async with self._lock:
            client: Client | None = None
            clean = False
            try:
                client = self._client or await self._open()
                async with within(self._timing.request_s):
                    yield client
                clean = True
            except ExchangeError:
                raise
            except Exception as error:
                raise NoAnswerError(f"{self._url}: {type(error).__name__}: {error}") from error
            finally:
                if not clean:
                    self._client = None
                    if client:
                        await self._close(client, broken=True)

    async def _open(self) -> Client:
        client = Client(self._url, timeout=self._timing.session_s, watchdog_intervall=_NEVER_S, auto_reconnect=False)
        opened = False
        try:
            async with within(self._timing.session_s):
                if self._credentials:
                    await self._credentials.apply(client)
                await client.connect()
                self._nodes = await self._find_variables(client)
            opened = True
        finally:
            if not opened:
                await self._close(client, broken=True)
        self._client = client
        return client

    async def _find_variables(self, client: Client) -> dict[str, ua.NodeId]:
        """Name → node of the converter object's variables."""
        index = await client.get_namespace_index(NAMESPACE)
        converter = await client.nodes.objects.get_child(f"{index}:{self._object}")
        children = await converter.get_children_descriptions()
        return {child.BrowseName.Name: child.NodeId for child in children if child.BrowseName.NamespaceIndex == index}

    async def _close(self, client: Client, *, broken: bool) -> None:
        """End the session and its tasks, with a regular disconnect unless it is ``broken``."""
        if broken:
            client.disconnect_socket()
        with suppress(Exception):
            async with within(self._timing.request_s):
                await client.disconnect()
        client.disconnect_socket()
        await asyncio.sleep(0)


def _variant(name: str, value: float) -> ua.Variant:
    """The value in the type of its variable, since an int in a Double is a type mismatch."""
    kind = _TYPES[name]
    return ua.Variant(float(value) if kind is ua.VariantType.Double else int(value), kind)


def _sample(name: str, data: ua.DataValue) -> Sample:
    """Check a value; true and false are 1 and 0 only if the model has a Boolean."""
    source_at = data.SourceTimestamp.replace(tzinfo=UTC) if data.SourceTimestamp else None
    if data.StatusCode is None or not data.StatusCode.is_good():
        return Sample(None, source_at, f"status {data.StatusCode and data.StatusCode.name}")
    value = data.Value.Value if data.Value else None
    fits = isinstance(value, bool) is (_TYPES.get(name) is ua.VariantType.Boolean)
    if not fits or not isinstance(value, int | float) or not isfinite(value):
        return Sample(None, source_at, f"no finite number: {value}")
    return Sample(float(value), source_at)
