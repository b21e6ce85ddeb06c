"""``python -m tests.controller.api.flood PORT COUNT``: requests without a token, as many as go; statuses as JSON."""

import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException

CLIENTS = 16
REQUESTS = (
    ("POST", "/api/v1/stop", "{}"),
    ("POST", "/api/v1/mode", '{"mode": "off"}'),
    ("POST", "/api/v1/override", "x" * 100_000),
    ("GET", "/api/v1/status", None),
    ("GET", "/api/v1/state", None),
    ("GET", "/elsewhere", None),
)


def ask(port: int, number: int) -> int:
    """Status; 0 where there was no answer."""
    method, path, body = REQUESTS[number % len(REQUESTS)]
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {"Authorization": f"Bearer guess-{number}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()


def main() -> None:
    """Command line."""
    port, count = map(int, sys.argv[1:])
    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = Counter(pool.map(lambda number: ask(port, number), range(count)))
    sys.stdout.write(json.dumps(statuses))


if __name__ == "__main__":
    main()
