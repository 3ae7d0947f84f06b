# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Servers with a loop of their own that a synthesis stands on: the request behind it begins when its bytes came."""

from __future__ import annotations

import os
import sys
import threading
import time
from functools import partial

import pytest
from otlp_sink import OtlpSink, SinkSpan
from serving import Server

SPEAK = """
import sys, time
import otel_tts

def speak():
    with otel_tts.synthesis("small", engine="slow"):
        time.sleep(0.8)

port = int(sys.argv[1])
"""
APPS = {
    "aiohttp": """
from aiohttp import web

async def answer(request):
    speak()
    return web.Response(text="done")

app = web.Application()
app.add_routes([web.get("/speak", answer)])
web.run_app(app, host="127.0.0.1", port=port)
""",
    "tornado": """
import asyncio
import tornado.web

class Answer(tornado.web.RequestHandler):
    async def get(self):
        speak()
        self.write("done")

async def main():
    tornado.web.Application([("/speak", Answer)]).listen(port, "127.0.0.1")
    await asyncio.Event().wait()

asyncio.run(main())
""",
    "sanic": """
from sanic import Sanic, response

app = Sanic("slow")

@app.get("/speak")
async def answer(request):
    speak()
    return response.text("done")

if __name__ == "__main__":
    app.run(host="127.0.0.1", port=port, single_process=True)
""",
}


def ask_twice(server: Server) -> dict[str, float]:
    """What two clients saw, in seconds; the second comes while the first is spoken for."""
    seen: dict[str, float] = {}

    def ask(name: str) -> None:
        began = time.perf_counter()
        assert server.get("/speak", x_request_id=name).status == 200
        seen[name] = time.perf_counter() - began

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    return seen


def spans_of(sink: OtlpSink) -> dict[str, SinkSpan]:
    found = {span.attributes["request_id"]: span for span in sink.spans() if span.kind == "SERVER"}
    return found if set(found) == {"first", "second"} else {}


@pytest.mark.parametrize("framework", APPS)
def test_the_second_client_waited_and_its_span_says_so(framework: str, sink: OtlpSink, tmp_path, free_port) -> None:
    (tmp_path / "app.py").write_text(SPEAK + APPS[framework])
    port = free_port()
    launcher = [os.path.join(os.path.dirname(sys.executable), "opentelemetry-instrument"), "--", sys.executable]
    env = sink.env(PYTHONPATH=os.environ.get("PYTHONPATH", ""), OTEL_BSP_SCHEDULE_DELAY="200")
    server = Server([*launcher, "app.py", str(port)], env, tmp_path, port)
    try:
        server.wait_until_it_listens()
        for attempt in range(1, 5):  # a busy machine may keep a client from reading
            seen = ask_twice(server)
            edges = sink.wait_for(partial(spans_of, sink))
            if all(edges[name].seconds == pytest.approx(seen[name], rel=0.05, abs=0.03) for name in seen):
                break
            assert attempt < 4, f"{seen}, but {edges}"
            sink.clear()
        assert edges["second"].attributes["tts.wait.source"] == "kernel"
        assert edges["second"].attributes["tts.wait.duration"] > 0.4
        assert edges["first"].attributes.get("tts.wait.duration", 0.0) < 0.3
    finally:
        server.clean_up()
