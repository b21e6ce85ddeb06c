"""A headless Chromium that is driven over its debugging pipe: messages are JSON, each ended by a zero byte."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
FAULTS = ("Runtime.exceptionThrown", "Log.entryAdded")
POLL_S = 0.05


class Page:
    """A tab. ``faults`` are uncaught exceptions, and errors and warnings of console, network and CSP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.faults: list[str] = []
        self._reader, self._writer = reader, writer
        self._session: dict[str, str] = {}
        self._sent = 0

    async def attach(self) -> None:
        """Attach to the open tab, and listen to its console."""
        targets = (await self.call("Target.getTargets"))["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        answer = await self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": answer["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")

    async def call(self, method: str, **params: Any) -> Mapping[str, Any]:
        """The answer to a command of the DevTools protocol."""
        self._sent += 1
        command = {"id": self._sent, "method": method, "params": params, **self._session}
        self._writer.write(json.dumps(command).encode() + b"\0")
        await self._writer.drain()
        while True:
            message = json.loads((await self._reader.readuntil(b"\0"))[:-1])
            if message.get("id") == self._sent:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    async def open(
        self, url: str, width: int = 1280, height: int = 900, *, dark: bool = False, scale: float = 1.0
    ) -> None:
        """Go to a page in a window of that size."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 700,
        )
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState == 'complete'")

    async def value(self, expression: str) -> Any:
        """Value of a JavaScript expression."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str, within_s: float = 10) -> None:
        """Wait until an expression is true."""
        try:
            async with asyncio.timeout(within_s):
                while not await self.value(expression):
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            text = await self.value("document.body.innerText")
            raise AssertionError(f"not within {within_s} s: {expression}\n{self.faults}\n{text}") from None

    async def picture(self, path: Path, *, whole: bool = True) -> None:
        """Save a WebP of the whole page, or of the visible part."""
        options = {"format": "webp", "quality": 90, "captureBeyondViewport": whole}
        answer = await self.call("Page.captureScreenshot", **options)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _note(self, message: Mapping[str, Any]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method in FAULTS or (method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning"}):
            self.faults.append(json.dumps(params))


@asynccontextmanager
async def browser(program: str, profile: Path) -> AsyncIterator[Page]:
    """A tab of a browser of its own; ``profile`` is a folder that it may fill."""
    loop = asyncio.get_running_loop()
    (command_read, command_write), (answer_read, answer_write) = os.pipe(), os.pipe()
    launch = f'exec "$0" "$@" 3</dev/fd/{command_read} 4>/dev/fd/{answer_write}'
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", launch, program, *FLAGS, f"--user-data-dir={profile}", "about:blank",
        pass_fds=(command_read, answer_write),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    os.close(command_read)
    os.close(answer_write)
    reader = asyncio.StreamReader(limit=2**26)
    incoming, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(answer_read, "rb")
    )
    outgoing, flow = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(command_write, "wb"))
    try:
        page = Page(reader, asyncio.StreamWriter(outgoing, flow, None, loop))
        await page.attach()
        yield page
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            page._session = {}
            await page.call("Browser.close")
    finally:
        outgoing.close()
        incoming.close()
        with suppress(TimeoutError, ProcessLookupError):
            async with asyncio.timeout(5):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
