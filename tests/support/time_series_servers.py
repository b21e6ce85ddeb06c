"""Real time series databases for a test: on loopback and free ports, data in the test's folder, ended by the test."""

import json
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from controller.record.measurements import MEASUREMENTS, columns
from core.config import InfluxConfig
from tests.support.requirements import tool

START_S = 20.0
BUCKET, TOKEN = "gridlab", "lab token"
Row = tuple[float | str | None, ...]
INFLUXD = """reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{data}/meta"
[data]
dir = "{data}/data"
wal-dir = "{data}/wal"
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{http}"
log-enabled = false
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def request(port: int, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, target, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextmanager
def program(command: list[str], port: int, health: str) -> Iterator[None]:
    """Run a program while the block lasts, which begins when the program answers."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            end_s = time.monotonic() + START_S
            while not _answers(port, health):
                assert process.poll() is None, (command, process.returncode)
                assert time.monotonic() < end_s, command
                time.sleep(0.03)
            yield
        finally:
            process.kill()


def _answers(port: int, health: str) -> bool:
    try:
        return request(port, "GET", health)[0] < 300
    except OSError:
        return False


@dataclass
class Influxd:
    """InfluxDB 1.6 behind a proxy that translates requests of InfluxDB 2, and that can simulate a failing server.

    While the database is down the proxy answers 503. ``sick`` replaces the answer to every write.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    proxy_port: int = 0
    sick: int | None = None
    delay_s: float = 0.0
    writes: int = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the database on the data of its last run."""
        path = self.folder / "influxd.conf"
        path.write_text(INFLUXD.format(rpc=free_port(), http=self.port, data=self.folder), encoding="utf-8")
        with program([tool("influxd", "influxdb"), "run", "-config", str(path)], self.port, "/ping"):
            self.create(BUCKET)
            yield

    @contextmanager
    def proxy(self) -> Iterator[None]:
        """Serve at ``proxy_port``."""
        influxd = self

        class Proxy(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, text = influxd.answer(self.path, self.headers["Authorization"], body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
            self.proxy_port = server.server_port
            thread = Thread(target=server.serve_forever, args=[0.02])
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()

    def answer(self, target: str, authorization: str, body: bytes) -> tuple[int, bytes]:
        self.writes += 1
        time.sleep(self.delay_s)
        asked = parse_qs(urlsplit(target).query)
        if self.sick:
            return self.sick, b'{"message": "sick"}'
        if authorization != f"Token {TOKEN}":
            return 401, b'{"code": "unauthorized"}'
        query = urlencode({"db": asked["bucket"][0], "precision": {"ns": "n"}[asked["precision"][0]]})
        try:
            return request(self.port, "POST", f"/write?{query}", body)
        except OSError:
            return 503, b'{"message": "down"}'

    def create(self, bucket: str) -> None:
        self.query(f"CREATE DATABASE {bucket}", bucket, "POST")

    def rows(self, bucket: str = BUCKET) -> dict[str, set[Row]]:
        """All points, in the form of :func:`stored`."""
        found: dict[str, set[Row]] = {}
        for name, measurement in MEASUREMENTS.items():
            names = ("time", *columns(measurement))
            for series in self.query(f"SELECT {', '.join(names[1:])} FROM {name}", bucket):
                assert series["columns"] == list(names)
                found[name] = {tuple(row) for row in series["values"]}
                assert len(found[name]) == len(series["values"])
        return found

    def query(self, text: str, bucket: str = BUCKET, method: str = "GET") -> list[dict[str, Any]]:
        """Series of an InfluxQL query."""
        query = urlencode({"db": bucket, "q": text, "epoch": "ns"})
        status, answer = request(self.port, method, f"/query?{query}")
        assert status == 200, answer
        series: list[dict[str, Any]] = json.loads(answer)["results"][0].get("series", [])
        return series


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[int]:
    """Run VictoriaMetrics, which accepts the requests of InfluxDB 2; yields its port."""
    port = free_port()
    options = {
        "storageDataPath": folder / "victoria",
        "httpListenAddr": f"127.0.0.1:{port}",
        "retentionPeriod": "100y",
        "search.latencyOffset": "1s",
    }
    command = [tool("victoria-metrics", "victoria-metrics"), *(f"-{name}={value}" for name, value in options.items())]
    with program(command, port, "/health"):
        yield port


def stored(database: Path) -> dict[str, set[Row]]:
    """All points of the telemetry with at least one known value."""
    found: dict[str, set[Row]] = {}
    with closing(sqlite3.connect(database)) as connection:
        for name, measurement in MEASUREMENTS.items():
            names = ("time", *columns(measurement))
            rows = connection.execute(f"SELECT {', '.join(names)} FROM {name}").fetchall()
            keys = 1 if measurement.tag is None else 2
            if known := {row for row in rows if any(value is not None for value in row[keys:])}:
                found[name] = known
    return found


def number(rows: dict[str, set[Row]]) -> int:
    return sum(map(len, rows.values()))


def influx_config(folder: Path, port: int, bucket: str = BUCKET, token: str = TOKEN) -> InfluxConfig:
    """The section of a configuration; the token is written to ``folder``."""
    path = folder / "token"
    path.write_text(f"{token}\n", encoding="utf-8")
    return InfluxConfig(url=f"http://127.0.0.1:{port}", org="lab", bucket=bucket, token_file=path)
