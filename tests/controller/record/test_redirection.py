"""Where the token and the points of a run do not go."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from controller.record.influx import Influx, InfluxError
from tests.support.time_series_servers import influx_config


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_is_not_followed(status: int, tmp_path: Path) -> None:
    """It would take token and points elsewhere, perhaps in clear text."""
    asked: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        try:
            with Influx(influx_config(tmp_path, server.server_port)) as target, pytest.raises(InfluxError):
                target.write(["node,node=N3 v_pu=1 1"])
        finally:
            server.shutdown()
            thread.join()
    assert [path.partition("?")[0] for path in asked] == ["/api/v2/write"]
