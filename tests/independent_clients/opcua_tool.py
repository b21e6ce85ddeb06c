"""Talks OPC UA by o6, which wraps open62541: one JSON line asks, one answers.

    {"url": "opc.tcp://…", "options": {…}, "read": [id, …]}              {"answer": [value, …]}
    {"url": …, "options": …, "write": [[id, type, value], …]}            {"answer": ["Good", …]}
    {"url": …, "options": …, "children": id}                             {"answer": [browse name, …]}

A connection or a reading that is refused is answered by {"error": "BadUserAccessDenied"}. ``options`` are those of
``o6.Client``. It is a program of its own: without a licence o6 prints a banner and ends its process after ten minutes.
"""

import json
import logging
import os
import sys
from typing import Any

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import o6  # noqa: E402


def main() -> None:
    logging.disable()
    o6.ns.namespace("gridlab", uri="urn:gridlab:converter")
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line)), default=lambda number: number.item()) + "\n")
        answers.flush()


def answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        with o6.Client(request["url"], **request["options"]) as client:
            return {"answer": done(client, request)}
    except o6.StatusCodeError as error:
        return {"error": error.symbol}


def done(client: o6.Client, request: dict[str, Any]) -> list[Any]:
    if "read" in request:
        return list(client.read(request["read"]))
    if "children" in request:
        return [reference.browseName.name for reference in client.browse(request["children"])]
    told = {node: getattr(o6, kind)(value) for node, kind, value in request["write"]}
    return [o6.StatusCodeError(status).symbol for status in client.write(told)]


if __name__ == "__main__":
    main()
