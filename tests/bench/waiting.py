# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.bench.waiting``: the cost of knowing how long a request waited, and whether its loop stands still.

CPU time of this process, the least of several rounds. Not part of the bench's targets: read it on a quiet machine.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

from otel_tts.instrumentation.edges.arrival import arrived
from otel_tts.recording.loops.watch import LoopWatch
from otel_tts.testing import Telemetry

ROUNDS, CALLS, IDLE_S = 7, 20_000, 10


class Transport:
    """As the server's: it has the connection's socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.transport, self._connection = self, connection

    def get_extra_info(self, name: str) -> socket.socket:
        return self._connection

    async def receive(self) -> None: ...


def connected() -> Transport:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    transport = Transport(accepted)
    transport.client = client  # type: ignore[attr-defined]
    time.sleep(0.05)
    return transport


def microseconds(call: Callable[[], object]) -> float:
    """CPU time of a call: the least of the rounds."""
    least = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(CALLS):
            call()
        least = min(least, (time.process_time() - began) / CALLS)
    return least * 1e6


async def at_the_edge() -> tuple[float, float]:
    """Of each request: asked of the kernel, and noted that its loop is at work."""
    receive = connected().receive
    scope: dict[str, Any] = {"http_version": "1.1", "headers": []}
    loop = asyncio.get_running_loop()
    with Telemetry() as telemetry:
        telemetry.recorder.loops.allow()
        asked = microseconds(lambda: arrived(scope, receive, None))
        noted = microseconds(lambda: telemetry.recorder.loops.note(loop))
    return asked, noted


async def idle(watched: bool) -> float:
    """CPU seconds of a loop that has nothing to do for a while, once its last request is long over."""
    watch = LoopWatch(lambda: False, print)
    if watched:
        watch.allow()
        watch.note(asyncio.get_running_loop())
        await asyncio.sleep(6)
    began = time.process_time()
    await asyncio.sleep(IDLE_S)
    spent = time.process_time() - began
    watch.stop()
    return spent / IDLE_S


def main() -> None:
    asked, noted = asyncio.run(at_the_edge())
    print(f"a request at the edge, with TCP_INFO   {asked:6.2f} µs")
    print(f"a synthesis on a loop                  {noted:6.2f} µs")
    bare, watched = asyncio.run(idle(False)), asyncio.run(idle(True))
    print(f"an idle loop, watched                  {(watched - bare) * 1e3:6.3f} ms of CPU a second")


if __name__ == "__main__":
    main()
