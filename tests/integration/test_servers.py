# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Real servers under the real launcher: one SERVER span a request, with its id, and nothing lost at the end."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable

import pytest
from otlp_sink import OtlpSink, SinkSpan
from serving import Server

APP = """
    import asyncio, logging, os

    import fastapi
    import fastapi.applications
    from fastapi.responses import StreamingResponse
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route, WebSocketRoute

    class Derived(fastapi.applications.FastAPI):
        pass

    covered, uncovered = fastapi.FastAPI, fastapi.applications.FastAPI
    kinds = {"covered": covered, "uncovered": uncovered, "derived": Derived}

    def with_routes(app):
        @app.get("/plain")
        async def plain():
            return {}

        @app.get("/sync")
        def sync():
            return {}

        @app.get("/own-id")
        async def own_id(response: fastapi.Response):
            response.headers["X-Request-Id"] = "made-by-the-app"
            return {}

        @app.get("/stream")
        async def stream():
            async def chunks():
                for _ in range(30):
                    yield b"x" * 100
                    await asyncio.sleep(0.001)
            return StreamingResponse(chunks())

        @app.get("/endless")
        async def endless():
            async def chunks():
                while True:
                    yield b"x" * 1000
                    await asyncio.sleep(0.001)
            return StreamingResponse(chunks())

        @app.get("/boom")
        async def boom():
            raise RuntimeError("boom")

        @app.get("/log")
        async def log():
            logging.getLogger("service").warning("a line", extra={"request_id": "from-extra"})
            logging.getLogger("service").warning("another line")
            return {}

        @app.websocket("/socket")
        async def socket(websocket: fastapi.WebSocket):
            await websocket.accept()
            await websocket.send_text(await websocket.receive_text())
            await websocket.close()
        return app

    outer = os.environ.get("OUTER", "covered")
    if outer == "starlette":
        app = Starlette(routes=[Mount("/sub", with_routes(covered())), Mount("/other", with_routes(uncovered()))])
    else:
        app = with_routes(kinds[outer]())
        app.mount("/sub", with_routes(covered()))
        app.mount("/other", with_routes(uncovered()))
        app.mount("/star", Starlette(routes=[Route("/plain", lambda request: PlainTextResponse("x"))]))
"""

UVICORN = ["opentelemetry-instrument", "uvicorn", "app:app", "--port", "{port}"]
GUNICORN = [
    "opentelemetry-instrument", "gunicorn", "app:app", "-k", "uvicorn.workers.UvicornWorker", "-b", "127.0.0.1:{port}",
    "--no-control-socket",
]  # fmt: skip
LATER = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_BLRP_SCHEDULE_DELAY": "600000"}
"""Nothing leaves before the end: what arrives was flushed by it."""

Serve = Callable[..., Server]


def servers(sink: OtlpSink) -> list[SinkSpan]:
    return [span for span in sink.spans() if span.kind == "SERVER"]


PATHS = {
    "/plain": 200, "/sync": 200, "/stream": 200, "/boom": 500, "/missing": 404, "/sub/plain": 200, "/sub/stream": 200,
    "/sub/boom": 500, "/sub/missing": 404, "/other/plain": 200, "/other/stream": 200, "/star/plain": 200,
}  # fmt: skip
STARLETTE_PATHS = {"/sub/plain": 200, "/sub/stream": 200, "/sub/boom": 500, "/other/plain": 200}


@pytest.mark.parametrize("outer", ["covered", "uncovered", "derived", "starlette"])
def test_each_request_has_one_server_span_and_one_header_with_its_id(sink: OtlpSink, serve: Serve, outer: str) -> None:
    server = serve(APP, UVICORN, sink.env(OUTER=outer, **LATER))
    paths = STARLETTE_PATHS if outer == "starlette" else PATHS
    for path, status in paths.items():
        answer = server.get(path, x_request_id=f"id-of{path.replace('/', '.')}")
        assert (answer.status, answer.request_ids) == (status, [f"id-of{path.replace('/', '.')}"]), path

    assert server.stop() == -signal.SIGTERM

    seen = sorted(span.attributes["request_id"] for span in servers(sink))
    assert seen == sorted(f"id-of{path.replace('/', '.')}" for path in paths)
    # No span per chunk of a stream, nor FastAPI's own beside contrib's.
    assert len(sink.spans()) <= len(paths) * 4


def test_an_id_that_could_break_something_is_replaced(sink: OtlpSink, serve: Serve) -> None:
    server = serve(APP, UVICORN, sink.env(**LATER))
    long, strange = server.get("/plain", x_request_id="x" * 10_000), server.get("/plain", x_request_id="a\tb <c>")
    none, good = server.get("/plain"), server.get("/plain", X_REQUEST_ID="a.b:C_d-9")
    own = server.get("/own-id", x_request_id="from-the-client")

    for answer in (long, strange, none):
        (made,) = answer.request_ids
        assert len(made) == 32 and int(made, 16) > 0
    assert good.request_ids == ["a.b:C_d-9"]
    assert own.request_ids == ["made-by-the-app"]
    server.stop()
    assert [s.attributes["request_id"] for s in servers(sink)] == [
        long.request_ids[0], strange.request_ids[0], none.request_ids[0], "a.b:C_d-9", "made-by-the-app",
    ]  # fmt: skip
    assert servers(sink)[-1].attributes["request_id.offered"] == "from-the-client"


def test_a_client_that_goes_away_leaves_one_server_span(sink: OtlpSink, serve: Serve) -> None:
    server = serve(APP, UVICORN, sink.env(**LATER))
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\nX-Request-Id: gone\r\n\r\n")
        assert client.recv(2000)
    assert server.get("/plain", x_request_id="stays").status == 200
    server.stop()
    assert sorted(s.attributes["request_id"] for s in servers(sink)) == ["gone", "stays"]


def test_a_websocket_has_an_id_too(sink: OtlpSink, serve: Serve) -> None:
    from websockets.sync.client import connect

    server = serve(APP, UVICORN, sink.env(**LATER))
    url = f"ws://127.0.0.1:{server.port}/socket"
    with connect(url, additional_headers={"x-request-id": "socket-1"}) as websocket:
        websocket.send("x")
        assert websocket.recv() == "x"
        assert websocket.response is not None and websocket.response.headers["x-request-id"] == "socket-1"
    server.stop()
    assert [s.attributes["request_id"] for s in servers(sink)] == ["socket-1"]


def test_the_services_log_lines_say_their_request(sink: OtlpSink, serve: Serve) -> None:
    server = serve(APP, UVICORN, sink.env(**LATER))
    server.get("/log", x_request_id="r1")
    server.stop()
    lines = [log for log in sink.logs() if log.scope == "service"]
    assert [log.attributes["request_id"] for log in lines] == ["from-extra", "r1"]
    assert {log.trace_id for log in lines} == {servers(sink)[0].trace_id}
    assert all("trace_id" not in log.attributes for log in lines)
    assert b"a line" not in sink.raw_bytes()


UP, UP_ASGI = "Application startup complete", "ASGI server listening"


@pytest.mark.parametrize(
    ("command", "up", "workers"),
    [
        pytest.param(UVICORN, UP, 1, id="uvicorn"),
        pytest.param([*UVICORN, "--workers", "2"], UP, 2, id="uvicorn-workers"),
        pytest.param([*GUNICORN, "-w", "2"], UP, 2, id="gunicorn"),
        pytest.param([*GUNICORN, "-w", "2", "--preload"], UP, 2, id="gunicorn-preload"),
        pytest.param([*GUNICORN, "-w", "2", "-k", "asgi"], UP_ASGI, 2, id="gunicorn-asgi"),
    ],
)
def test_sigterm_right_after_a_response_loses_nothing(
    sink: OtlpSink, serve: Serve, command: list[str], up: str, workers: int
) -> None:
    server = serve(APP, command, sink.env(**LATER))
    # gunicorn has no time for a signal while a worker boots: it would wait 30 s for one that never heard of it.
    server.wait_until_it_says(up, workers)
    asked = [f"r{n}" for n in range(6)]
    for request_id in asked:
        assert server.get("/plain", x_request_id=request_id).status == 200

    server.stop()

    sink.wait_for(lambda: len(servers(sink)) >= len(asked))
    assert sorted(s.attributes["request_id"] for s in servers(sink)) == asked
    counted = {}  # of each process the last point: nothing that a parent counted comes again from its children
    for point in sink.points("http.server.request.duration", http__route="/plain"):
        counted[point.resource["service.instance.id"]] = point.count
    assert sum(counted.values()) == len(asked)
    answering = {span.resource["process.pid"] for span in servers(sink)}
    assert server.process.pid not in answering or command == UVICORN


SPEAKING = """
    import time
    import fastapi
    import otel_tts
    app = fastapi.FastAPI()
    @app.get("/speak")
    def speak():
        with otel_tts.synthesis("tiny", engine="test", text="never to be seen"):
            with otel_tts.stage("vocoder"):
                time.sleep(0.001)
        return {}
"""


@pytest.mark.parametrize("command", [UVICORN, GUNICORN], ids=["uvicorn", "gunicorn"])
def test_a_synthesis_belongs_to_its_request_and_survives_sigterm(
    sink: OtlpSink, serve: Serve, command: list[str]
) -> None:
    server = serve(SPEAKING, command, sink.env(**LATER))
    for number in range(5):
        assert server.get("/speak", x_request_id=f"s{number}").status == 200
    server.stop()

    roots = {span.attributes["request_id"]: span for span in servers(sink)}
    speeches = {span.attributes["request_id"]: span for span in sink.spans() if span.name.startswith("text_to_speech")}
    assert sorted(roots) == sorted(speeches) == [f"s{n}" for n in range(5)]
    for request_id, speech in speeches.items():
        assert (speech.trace_id, speech.parent_id) == (roots[request_id].trace_id, roots[request_id].span_id)
    assert len(sink.spans("tts.vocoder")) == 5
    assert sum(point.value for point in sink.latest("tts.requests")) == 5
    lines = {log.attributes["request_id"] for log in sink.logs() if str(log.body).startswith("REQ_SUCCESS")}
    assert sorted(lines) == sorted(roots)
    assert b"never to be seen" not in sink.raw_bytes()


def test_a_server_that_reloads_is_instrumented_too(sink: OtlpSink, serve: Serve) -> None:
    server = serve(APP, [*UVICORN, "--reload"], sink.env(**LATER))
    assert server.get("/plain", x_request_id="r1").request_ids == ["r1"]
    server.stop()
    sink.wait_for(lambda: [s.attributes["request_id"] for s in servers(sink)] == ["r1"])
