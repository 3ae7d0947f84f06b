# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is said of a request is true of it: its id, how it ended, when it was heard. Real servers, real clients."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from otlp_sink import OtlpSink, SinkSpan
from serving import Server

APP = """
    import asyncio, logging, queue, threading, time

    import numpy as np
    from asgi_correlation_id import CorrelationIdMiddleware
    from fastapi import BackgroundTasks, FastAPI, Request, Response
    from fastapi.responses import StreamingResponse
    from otel_tts import Chunk, Engine, Entry, Seam, Stage
    from otel_tts.instrumentation.tables import watch

    def think(text):
        time.sleep(0.01)
        return [0.3] * len(text)

    class Voice:
        def speak(self, text):
            return np.concatenate([say(level) for level in think(text)])

        def stream(self, text):
            for level in think(text):
                time.sleep(0.05)
                yield say(level)

    def say(level):
        return (np.sin(np.arange(2400) / 9) * level).astype(np.float32)

    watch(Engine(
        name="base", module=__name__, distribution="", model="base-1", sample_rate=24000, channels=1,
        entries=(Entry("Voice.speak", chunk=Chunk()), Entry("Voice.stream", chunk=Chunk())),
        seams=(Seam("think", Stage.ACOUSTIC_MODEL, device="cpu"),),
    ))
    app, voice = FastAPI(), Voice()
    ended = threading.Event()

    @app.get("/plain")
    def plain():
        logging.getLogger("shop").warning("before the answer")
        return Response(voice.speak("hello").tobytes(), media_type="audio/pcm")

    @app.get("/thread")
    def thread():
        waiting = queue.Queue()
        def work():
            for chunk in voice.stream("a" * 60):
                waiting.put(chunk.tobytes())
            waiting.put(None)
        threading.Thread(target=work, daemon=True).start()
        def body():
            while (chunk := waiting.get()) is not None:
                yield chunk
        return StreamingResponse(body(), media_type="audio/pcm")

    @app.get("/slow")
    def slow():
        samples = voice.speak("hello")
        time.sleep(0.5)
        ended.set()
        return Response(samples.tobytes(), media_type="audio/pcm")

    @app.get("/slow-has-ended")
    def slow_has_ended():
        return {"ended": ended.wait(20)}

    kept = set()
    async def bot():
        for _ in range(3):
            await asyncio.sleep(0.4)
            await asyncio.to_thread(voice.speak, "hello")

    @app.get("/offer")
    async def offer():
        task = asyncio.create_task(bot())
        kept.add(task)
        return {"sdp": "x"}

    @app.get("/job")
    async def job(tasks: BackgroundTasks):
        async def later():
            await asyncio.sleep(0.4)
            await asyncio.to_thread(voice.speak, "hello")
        tasks.add_task(later)
        return {"id": 1}
"""
WITH_IDS = """
    app.add_middleware(CorrelationIdMiddleware)
"""
WITH_OWN_IDS = """
    @app.middleware("http")
    async def own_id(request: Request, call_next):
        response = await call_next(request)
        response.headers["x-request-id"] = request.query_params["id"]
        return response
"""
WITH_MIDDLEWARE = """
    @app.middleware("http")
    async def plain_middleware(request: Request, call_next):
        response = await call_next(request)
        response.headers["x-mine"] = "1"
        return response
"""
GUNICORN = [
    "opentelemetry-instrument", "gunicorn", "app:app", "-k", "asgi", "-b", "127.0.0.1:{port}", "--no-control-socket",
]  # fmt: skip
UVICORN = ["opentelemetry-instrument", "uvicorn", "app:app", "--port", "{port}"]

Serve = Callable[..., Server]


def speeches(sink: OtlpSink) -> list[SinkSpan]:
    """The syntheses so far, in the order of their start."""
    return sorted((span for span in sink.spans() if "tts.outcome" in span.attributes), key=lambda span: span.start)


def lines(sink: OtlpSink, event: str) -> list[str]:
    return [log.body for log in sink.logs(event)]


def waits(sink: OtlpSink, number: int = 1) -> list[SinkSpan]:
    """The syntheses once there are so many, and their lines."""
    return sink.wait_for(
        lambda: (
            (found := speeches(sink))[number - 1 :]
            and len(lines(sink, "REQ_SUCCESS") + lines(sink, "REQ_FAIL")) >= number
            and found
        )
    )


@pytest.fixture
def served(sink: OtlpSink, serve: Serve) -> Callable[..., Server]:
    soon = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_BLRP_SCHEDULE_DELAY": "100"}
    return lambda more="", command=UVICORN: serve(APP + more, command, sink.env(**soon))


def root(sink: OtlpSink) -> SinkSpan:
    (span,) = sink.wait_for(lambda: [span for span in sink.spans() if span.kind == "SERVER"])
    return span


# --- the id that the client holds ------------------------------------------------------------------------------------


def test_an_application_that_makes_ids_takes_the_one_it_is_offered(sink: OtlpSink, served: Any) -> None:
    answer = served(WITH_IDS).get("/plain")
    (held,) = answer.request_ids
    (speech,) = waits(sink)
    assert speech.attributes["request_id"] == held == root(sink).attributes["request_id"]
    assert "request_id.offered" not in speech.attributes
    for event in ("REQ_START", "REQ_SUCCESS", "STAGE_TIME"):
        assert f"request_id={held} " in lines(sink, event)[0]


def test_an_id_that_the_application_replaces_is_found_by_either(sink: OtlpSink, served: Any) -> None:
    """The middleware accepts UUIDs only: what the client holds is one that it has made."""
    answer = served(WITH_IDS).get("/plain", x_request_id="order-4711")
    (held,) = answer.request_ids
    assert held != "order-4711"
    (speech,) = waits(sink)
    for said in (speech.attributes, root(sink).attributes):
        assert (said["request_id"], said["request_id.offered"]) == (held, "order-4711")
    for event in ("REQ_SUCCESS", "STAGE_TIME"):
        line = sink.wait_for(lambda event=event: lines(sink, event))[0]
        assert f"{event} request_id={held} request_id.offered=order-4711 " in line
    (line,) = sink.logs("REQ_SUCCESS")
    assert (line.attributes["request_id"], line.attributes["request_id.offered"]) == (held, "order-4711")


@pytest.mark.parametrize("own, taken", [("of.theirs:7", True), ("a%20b", False), ("x" * 129, False)])
def test_an_id_in_the_answer_is_taken_over_where_it_is_harmless(
    sink: OtlpSink, served: Any, own: str, taken: bool
) -> None:
    served(WITH_OWN_IDS).get(f"/plain?id={own}", x_request_id="r1")
    (speech,) = waits(sink)
    for said in (speech.attributes, root(sink).attributes):
        assert said["request_id"] == (own if taken else "r1")
        assert said.get("request_id.offered") == ("r1" if taken else None)


# --- how it ended ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def listener(server: Server, path: str, request_id: str) -> Iterator[socket.socket]:
    """A client that has sent its request; leaving the block is leaving the server."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: {request_id}\r\n\r\n".encode())
        yield client


def hear(client: socket.socket, size: int) -> None:
    while size > 0:
        size -= len(client.recv(4096))


@pytest.mark.parametrize("middleware", ["", WITH_MIDDLEWARE], ids=["bare", "behind-a-middleware"])
def test_a_listener_who_left_is_cancelled_and_chunks_for_nobody_do_not_count(
    sink: OtlpSink, served: Any, middleware: str
) -> None:
    server = served(middleware)
    for number in range(3):
        with listener(server, "/thread", f"leave-{number}") as client:
            hear(client, 30_000)
    found = waits(sink, 3)
    assert [span.attributes["request_id"] for span in found] == ["leave-0", "leave-1", "leave-2"]
    for span in found:
        said = span.attributes
        assert said["tts.outcome"] == "cancelled"
        assert 3 <= said["tts.stream.chunks"] < 60
        assert said["tts.audio.duration"] == pytest.approx(0.1 * said["tts.stream.chunks"])
        assert said["tts.stream.underrun"] >= 0 and "tts.stream.continuous" in said
    assert all("status=cancelled" in line and "error_type" not in line for line in lines(sink, "REQ_FAIL"))
    assert lines(sink, "REQ_SUCCESS") == []


@pytest.mark.parametrize("middleware", ["", WITH_MIDDLEWARE], ids=["bare", "behind-a-middleware"])
def test_a_stream_that_is_heard_to_its_end_is_ok(sink: OtlpSink, served: Any, middleware: str) -> None:
    answer = served(middleware).get("/thread")
    assert len(answer.body) == 60 * 2400 * 4
    (speech,) = waits(sink)
    assert (speech.attributes["tts.outcome"], speech.attributes["tts.stream.chunks"]) == ("ok", 60)


@pytest.mark.parametrize(
    "command, middleware",
    [(UVICORN, ""), (UVICORN, WITH_MIDDLEWARE), (GUNICORN, "")],
    ids=["uvicorn", "behind-a-middleware", "gunicorn"],
)
def test_a_client_that_left_before_a_plain_answer_was_sent_has_heard_nothing(
    sink: OtlpSink, served: Any, command: list[str], middleware: str
) -> None:
    server = served(middleware, command)
    with listener(server, "/slow", "gone"):
        sink.wait_for(lambda: lines(sink, "REQ_START"))
    assert server.get("/slow-has-ended").body == b'{"ended":true}'
    (speech,) = waits(sink)
    assert (speech.attributes["request_id"], speech.attributes["tts.outcome"]) == ("gone", "cancelled")
    assert server.get("/plain", x_request_id="stays").status == 200
    assert [span.attributes["tts.outcome"] for span in waits(sink, 2)] == ["cancelled", "ok"]


# --- when it was heard -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path, number", [("/offer", 3), ("/job", 1)])
def test_what_goes_on_after_the_answer_has_a_beginning_and_an_id_of_its_own(
    sink: OtlpSink, served: Any, path: str, number: int
) -> None:
    server = served()
    assert server.get(path, x_request_id="offer-1").status == 200
    found = waits(sink, number)
    assert [span.attributes["request_id"] for span in found] == [f"offer-1.{n + 1}" for n in range(number)]
    for span in found:
        # All of it lies inside of the synthesis, which began 0.4 s after the answer.
        assert span.attributes["tts.time_to_first_byte"] <= span.seconds
        assert span.trace_id == root(sink).trace_id
    if path == "/job":
        assert found[0].parent_id == root(sink).span_id


def test_what_is_made_for_an_open_answer_counts_from_the_request(sink: OtlpSink, served: Any) -> None:
    """Its time to first byte is longer than the time in the engine: the request was read and routed before."""
    server = served()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/plain", headers={"x-request-id": "r1"})
    began = time.monotonic()
    connection.getresponse().read()
    took = time.monotonic() - began
    connection.close()
    (speech,) = waits(sink)
    assert speech.attributes["request_id"] == "r1"
    assert speech.attributes["tts.time_to_first_byte"] > (speech.start - root(sink).start) / 1e9
    assert speech.attributes["tts.time_to_first_byte"] <= took + 1


# --- lines of loguru -------------------------------------------------------------------------------------------------

LOGURU = """
    import sys
    from loguru import logger
    import otel_tts

    logger.remove()
    logger.add(sys.stdout, format="APP {level} {message}")
    with otel_tts.synthesis("m", request_id="r1"):
        logger.info("said {}", "purpleotter")
    try:
        raise ValueError("purpleotter")
    except ValueError:
        logger.exception("failed")
    logger.debug("all levels that the application writes")
"""


@pytest.mark.parametrize("exported", ["metadata", "body", "none"])
def test_what_a_service_logs_with_loguru_leaves_through_the_same_gate(
    sink: OtlpSink, script: Any, exported: str
) -> None:
    ended = script(LOGURU, sink.env(OTEL_TTS_EXPORT_APP_LOGS=exported))
    assert ended.stdout.splitlines()[0] == "APP INFO said purpleotter"
    assert "Logging error" not in ended.stderr
    found = [log for log in sink.logs() if log.scope == "__main__"]
    if exported == "none":
        assert found == []
        return
    assert [log.severity for log in found] == ["INFO", "ERROR", "DEBUG"]
    assert found[0].trace_id == speeches(sink)[0].trace_id and not found[2].trace_id.strip("0")
    for log in found:
        assert log.attributes["code.file.path"] == "program.py" and log.attributes["code.line.number"] > 8
    assert found[1].attributes["exception.type"] == "ValueError"
    assert (b"purpleotter" in sink.raw_bytes()) is (exported == "body")
    assert found[0].body == ("said purpleotter" if exported == "body" else "INFO __main__ program.py:9")
