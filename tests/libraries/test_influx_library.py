"""Traps of influxdb-client and of InfluxDB that controller/record is built around; a change of one shows up here."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import nan
from pathlib import Path
from threading import Thread

import pytest
from influxdb_client import InfluxDBClient, Point, WriteOptions
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from tests.support.time_series_servers import Influxd, influx_config


class Database:
    """Answers every write with ``status``, and counts them."""

    def __init__(self) -> None:
        self.status, self.bodies, self.port = 503, list[bytes](), 0

    @contextmanager
    def served(self) -> Iterator[None]:
        database = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                database.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(database.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_address[1]
            thread = Thread(target=server.serve_forever, args=[0.01])
            thread.start()
            yield
            server.shutdown()
            thread.join()


def test_batching_drops_a_batch_after_its_retries_and_flush_does_nothing() -> None:
    database, lost = Database(), list[str]()
    options = WriteOptions(
        batch_size=1000, flush_interval=20, jitter_interval=0, retry_interval=10, max_retries=1, exponential_base=1
    )
    with (
        database.served(),
        InfluxDBClient(f"http://127.0.0.1:{database.port}", "token", org="lab") as client,
        client.write_api(options, error_callback=lambda _, data, __: lost.append(str(data))) as api,
    ):
        api.write("bucket", record="m x=1.0 1")
        deadline = time.monotonic() + 5
        while not lost and time.monotonic() < deadline:
            time.sleep(0.01)
        database.status = 204
        tried = len(database.bodies)
        api.flush()
        time.sleep(0.1)
        assert (tried, len(database.bodies), len(lost)) == (2, 2, 1), "the database is well again, the batch is gone"


def test_flush_sends_nothing_and_close_waits_for_a_database_that_is_away() -> None:
    database = Database()
    options = WriteOptions(
        batch_size=1000, flush_interval=60_000, jitter_interval=0, retry_interval=200, max_retries=3, exponential_base=1
    )
    assert WriteOptions().max_close_wait == 300_000
    with database.served(), InfluxDBClient(f"http://127.0.0.1:{database.port}", "token", org="lab") as client:
        api = client.write_api(options, error_callback=lambda *_: None)
        api.write("bucket", record="m x=1.0 1")
        api.flush()
        time.sleep(0.1)
        assert database.bodies == []
        began = time.monotonic()
        api.close()
        assert time.monotonic() - began >= 0.5
        assert len(database.bodies) == 4


def test_a_value_that_is_nan_vanishes_and_with_it_the_point() -> None:
    assert Point("m").field("x", nan).field("y", 1.0).to_line_protocol() == "m y=1"
    assert Point("m").field("x", nan).to_line_protocol() == ""


def test_a_value_that_was_a_float_takes_no_integer(tmp_path: Path) -> None:
    influxd = Influxd(tmp_path)
    with influxd.running(), influxd.proxy():
        influxd.create("mixed")
        config = influx_config(tmp_path, influxd.proxy_port, "mixed")
        token = config.token_file.read_text().strip()
        with InfluxDBClient(config.url, token, org=config.org) as client:
            api = client.write_api(SYNCHRONOUS)
            api.write("mixed", record="m x=1.0 1000000000")
            with pytest.raises(ApiException) as caught:
                api.write("mixed", record="m x=1i 2000000000")
        assert caught.value.status in (400, 422)
        assert "type conflict" in str(caught.value.body)
