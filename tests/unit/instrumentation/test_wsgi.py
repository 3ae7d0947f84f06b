# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The WSGI edge: id, context, server span, the answer's end, and what servers and applications of WSGI may do."""

from __future__ import annotations

import gc
import io
import socket
import sys
import wave
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import numpy as np
import pytest
from flask import Flask, Response, abort, send_file, stream_with_context
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.instrumentation import utils
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import otel_tts
from otel_tts import names
from otel_tts.instrumentation.edges import serving, wsgi
from otel_tts.recording import request
from otel_tts.testing import Telemetry

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = {"HTTP_TRACEPARENT": f"00-{TRACE}-b7ad6b7169203331-01"}
HTTP = "http.server.request.duration"


def wav(samples: int = 2400) -> bytes:
    with wave.open(buffer := io.BytesIO(), "wb") as file:
        file.setparams((1, 2, 24000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(samples) / 10) * 9000).astype("<i2").tobytes())
    return buffer.getvalue()


def served(app: Callable[..., Any]) -> Callable[..., Any]:
    """A WSGI application with the edge around it."""
    edge = wsgi._with_edge(lambda self, *call: app(*call))
    return lambda *call: edge(None, *call)


class Server:
    """Calls an application as PEP 3333 says; `take` is how many pieces of the body it takes before it closes."""

    def __init__(self, app: Callable[..., Any], take: int | None = None, close: bool = True) -> None:
        self.app, self.take, self.close = app, take, close
        self.status, self.headers, self.body = "", [], b""

    def ask(self, path: str = "/x", **environ: Any) -> Server:
        self.environ: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", **environ}
        setup_testing_defaults(self.environ)
        result = self.app(self.environ, self.start)
        try:
            for number, piece in enumerate(result):
                if self.take == number:
                    break
                self.body += piece
        finally:
            if self.close and hasattr(result, "close"):
                result.close()
        return self

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        self.status, self.headers = status, headers
        return self.write

    def write(self, piece: bytes) -> None:
        self.body += piece

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


def servers(telemetry: Telemetry) -> list[Any]:
    return [span for span in telemetry.spans if span.kind is SpanKind.SERVER]


def spoken(telemetry: Telemetry) -> Any:
    return next(span for span in telemetry.spans if span.name.startswith("text_to_speech"))


def speak() -> bytes:
    with otel_tts.synthesis("m") as synthesis:
        synthesis.audio(np.sin(np.arange(2400) / 10).astype(np.float32), 24000)
    return wav()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    serving.ours = True
    assert request.current.get() is None and not trace.get_current_span().get_span_context().is_valid


def plain(environ: Any, start: Any) -> Iterable[bytes]:
    body = speak()
    start("200 OK", [("Content-Type", "audio/wav"), ("Content-Length", str(len(body)))])
    return [body]


# --- id and context ---------------------------------------------------------------------------------------------------


def test_a_request_is_one_trace_in_its_callers_context() -> None:
    with Telemetry() as telemetry:
        answer = Server(served(plain)).ask(HTTP_X_REQUEST_ID="req-1", **CALLER)
        (server,), synthesis = servers(telemetry), spoken(telemetry)
        assert answer.header("x-request-id") == ["req-1"] and answer.body == wav()
        assert server.attributes["request_id"] == synthesis.attributes["request_id"] == "req-1"
        assert f"{server.context.trace_id:032x}" == TRACE and synthesis.parent == server.context
        assert server.name == "GET" and server.attributes["http.response.status_code"] == 200
        assert synthesis.attributes[names.AUDIO_SIZE] == len(answer.body)
        assert telemetry.points("http.server.response.body.size") and not telemetry.recorder.serving


@pytest.mark.parametrize("given", ["", "x" * 10_000, "two words", "ü"])
def test_an_id_that_is_none_is_replaced(given: str) -> None:
    with Telemetry() as telemetry:
        (own,) = Server(served(plain)).ask(HTTP_X_REQUEST_ID=given).header("x-request-id")
        assert own != given and servers(telemetry)[0].attributes["request_id"] == own


def test_what_the_application_answers_with_is_the_id() -> None:
    def app(environ: Any, start: Any) -> Any:
        assert environ["HTTP_X_REQUEST_ID"] == "offered"
        start("200 OK", [("X-Request-Id", "mine")])
        return [b"x"]

    with Telemetry() as telemetry:
        assert Server(served(app)).ask(HTTP_X_REQUEST_ID="offered").header("x-request-id") == ["mine"]
        assert servers(telemetry)[0].attributes["request_id"] == "mine"


@pytest.mark.parametrize("parent, sampled", [("00-zz-1", True), (f"00-{TRACE}-b7ad6b7169203331-00", False)])
def test_of_an_unsampled_caller_nothing_leaves_and_a_malformed_one_is_none(parent: str, sampled: bool) -> None:
    with Telemetry() as telemetry:
        Server(served(plain)).ask(HTTP_TRACEPARENT=parent)
        assert bool(telemetry.spans) is sampled
        assert len(telemetry.points(HTTP)) == 1


def test_an_application_inside_of_another_is_the_same_request() -> None:
    inner = served(plain)
    with Telemetry() as telemetry:
        assert Server(served(lambda *call: inner(*call))).ask().header("x-request-id").__len__() == 1
        assert len(servers(telemetry)) == 1


@pytest.mark.parametrize("variable", ["OTEL_PYTHON_FLASK_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS"])
def test_excluded_urls_leave_no_span_and_keep_their_ids(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "health")
    edge = wsgi._with_edge(lambda self, *call: plain(*call), framework="flask")
    with Telemetry() as telemetry:
        assert Server(lambda *call: edge(None, *call)).ask("/health").header("x-request-id")
        assert servers(telemetry) == []


# --- the body ---------------------------------------------------------------------------------------------------------


def streaming(environ: Any, start: Any) -> Iterator[bytes]:
    """Starts with the first step, as a generator does; speaks inside of it."""
    start("200 OK", [("Content-Type", "audio/wav")])
    body = speak()
    for at in range(0, len(body), 1000):
        assert request.current.get() is environ[wsgi.MARK]
        yield body[at : at + 1000]


def test_a_generator_works_for_its_request_step_by_step() -> None:
    with Telemetry() as telemetry:
        answer = Server(served(streaming)).ask(**CALLER)
        (server,) = servers(telemetry)
        assert answer.body == wav() and answer.header("x-request-id")
        assert spoken(telemetry).parent == server.context
        assert spoken(telemetry).attributes[names.AUDIO_SIZE] == len(wav())
        assert spoken(telemetry).attributes[names.OUTCOME] == "ok"


def test_bodies_that_a_server_takes_in_turns_do_not_mix() -> None:
    seen: dict[str, set[str]] = {"a": set(), "b": set()}

    def app(environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        for _ in range(3):
            seen[environ["PATH_INFO"]].add(request.current.get().id)  # type: ignore[union-attr]
            yield b"x"

    with Telemetry() as telemetry:
        edge, start = served(app), lambda *head: None
        bodies = [
            iter(edge({"PATH_INFO": name, "REQUEST_METHOD": "GET", "HTTP_X_REQUEST_ID": name}, start)) for name in seen
        ]
        for _ in range(3):
            assert [next(body) for body in bodies] == [b"x", b"x"]
            assert request.current.get() is None
        assert [list(body) for body in bodies] == [[], []]
        assert seen == {"a": {"a"}, "b": {"b"}} and len(servers(telemetry)) == 2


def test_what_a_generator_makes_current_stays_current_in_it_only() -> None:
    def app(environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        token = otel_context.attach(otel_context.set_value("mine", 7))
        yield b"a"
        assert otel_context.get_value("mine") == 7
        otel_context.detach(token)
        yield b"b"
        assert otel_context.get_value("mine") is None

    with Telemetry():
        edge = served(app)
        for piece in edge({"REQUEST_METHOD": "GET"}, lambda *head: None):
            assert piece in (b"a", b"b") and otel_context.get_value("mine") is None


@pytest.mark.parametrize("close", [True, False])
def test_a_client_that_goes_is_seen_when_the_body_is_closed_or_dropped(close: bool) -> None:
    with Telemetry() as telemetry:
        Server(served(streaming), take=1, close=close).ask()
        gc.collect()
        assert spoken(telemetry).attributes[names.OUTCOME] == "cancelled"
        assert len(servers(telemetry)) == 1 and not telemetry.recorder.serving


def test_a_client_that_has_gone_before_a_plain_answer_is_seen() -> None:
    def app(environ: Any, start: Any) -> Any:
        answer = plain(environ, start)
        client.close()
        return answer

    ours, client = socket.socketpair()
    with Telemetry() as telemetry, ours:
        Server(served(app)).ask(**{"werkzeug.socket": ours})
        assert spoken(telemetry).attributes[names.OUTCOME] == "cancelled"


def test_a_client_that_is_there_or_pipelines_is_not_gone() -> None:
    for said in (b"", b"GET /next HTTP/1.1\r\n"):
        ours, client = socket.socketpair()
        with Telemetry() as telemetry, ours, client:
            client.sendall(said)
            Server(served(plain)).ask(**{"gunicorn.socket": ours})
            assert spoken(telemetry).attributes[names.OUTCOME] == "ok"


@pytest.mark.parametrize("take", [0, None])
def test_head_is_answered_whether_the_server_asks_for_a_body_or_not(take: int | None) -> None:
    def app(environ: Any, start: Any) -> Iterator[bytes]:
        speak()
        start("200 OK", [("Content-Type", "audio/wav"), ("Content-Length", "4844")])
        yield b""

    with Telemetry() as telemetry:
        Server(served(app), take=take).ask(REQUEST_METHOD="HEAD")
        (server,) = servers(telemetry)
        assert spoken(telemetry).attributes[names.OUTCOME] == "ok" and server.name == "HEAD"


def test_lists_and_what_has_a_length_keep_it() -> None:
    class Sized:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"abc"])

        def __len__(self) -> int:
            return 1

    for make, kind in (
        (lambda: [b"abc"], list),
        (lambda: (b"abc",), tuple),
        (Sized, None),
        (lambda: iter([b"a"]), None),
    ):

        def app(environ: Any, start: Any, make: Any = make) -> Any:
            start("200 OK", [])
            return make()

        with Telemetry() as telemetry:
            result = served(app)({"REQUEST_METHOD": "GET"}, lambda *head: None)
            assert hasattr(result, "__len__") == hasattr(make(), "__len__") and (kind is None or type(result) is kind)
            list(result)
            assert len(servers(telemetry)) == 1


def test_what_is_written_by_hand_counts() -> None:
    def app(environ: Any, start: Any) -> Any:
        write = start("200 OK", [("Content-Type", "audio/wav")])
        write(speak())
        return []

    with Telemetry() as telemetry:
        assert Server(served(app)).ask().body == wav()
        assert spoken(telemetry).attributes[names.AUDIO_SIZE] == len(wav())


def test_a_write_that_fails_is_a_client_that_has_gone() -> None:
    def app(environ: Any, start: Any) -> Any:
        start("200 OK", [])(speak())
        return []

    def start(status: str, headers: Any) -> Any:
        def write(piece: bytes) -> None:
            raise BrokenPipeError

        return write

    with Telemetry() as telemetry:
        with pytest.raises(BrokenPipeError):
            served(app)({"REQUEST_METHOD": "GET"}, start)
        assert spoken(telemetry).attributes[names.OUTCOME] == "cancelled"
        assert len(servers(telemetry)) == 1


def test_a_file_that_the_server_sends_stays_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav())

    def app(environ: Any, start: Any) -> Any:
        speak()
        start("200 OK", [("Content-Type", "audio/wav")])
        return environ["wsgi.file_wrapper"]((tmp_path / "a.wav").open("rb"))

    with Telemetry() as telemetry:
        environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "wsgi.file_wrapper": FileWrapper}
        result = served(app)(environ, lambda *head: None)
        assert type(result) is FileWrapper and not servers(telemetry)
        result.close()
        assert result.filelike.closed
        assert spoken(telemetry).attributes[names.AUDIO_SIZE] == len(wav())
        assert spoken(telemetry).attributes[names.OUTCOME] == "ok" and len(servers(telemetry)) == 1


def test_it_keeps_the_rules_of_wsgi() -> None:
    def app(environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return iter([b"a", b"b"])

    with Telemetry():
        assert Server(validator(served(validator(app)))).ask().body == b"ab"


# --- errors -----------------------------------------------------------------------------------------------------------


def test_what_the_application_raises_is_raised_and_noted() -> None:
    def breaks(environ: Any, start: Any) -> Any:
        raise KeyError("what was said")

    def breaks_off(environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"a"
        raise KeyError("what was said")

    def cannot_close(environ: Any, start: Any) -> Any:
        class Body:
            def __iter__(self) -> Iterator[bytes]:
                return iter([b"a"])

            def close(self) -> None:
                raise KeyError("what was said")

        start("200 OK", [])
        return Body()

    for app, failed in ((breaks, True), (breaks_off, True), (cannot_close, False)):
        with Telemetry() as telemetry:
            with pytest.raises(KeyError, match="what was said"):
                Server(served(app)).ask()
            (server,) = servers(telemetry)
            assert (server.status.status_code is StatusCode.ERROR) is failed
            assert server.attributes.get("error.type") == ("KeyError" if failed else None)
            assert "what was said" not in telemetry.everything() and not telemetry.recorder.serving


def test_an_answer_that_is_taken_back_for_an_error_is_the_errors() -> None:
    def app(environ: Any, start: Any) -> Any:
        start("200 OK", [("Content-Type", "audio/wav")])
        try:
            raise KeyError("what was said")
        except KeyError:
            start("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"sorry"]

    with Telemetry() as telemetry:
        answer = Server(served(app)).ask()
        (server,) = servers(telemetry)
        assert answer.status == "500 Oops" and answer.header("x-request-id")
        assert server.attributes["error.type"] == "500"
        assert [event.attributes["exception.type"] for event in server.events] == ["KeyError"]


def test_what_a_server_refuses_is_refused() -> None:
    def app(environ: Any, start: Any) -> Any:
        start("200 OK", (("a", "b"),))
        return []

    def start(status: str, headers: Any) -> None:
        assert type(headers) is list

    with Telemetry() as telemetry:
        with pytest.raises(AssertionError):
            served(app)({"REQUEST_METHOD": "GET"}, start)
        assert len(servers(telemetry)) == 1


def test_a_websocket_by_wsgi_ends_its_call_by_an_exception_and_has_not_failed() -> None:
    def app(environ: Any, start: Any) -> Any:
        with otel_tts.synthesis("m"):
            pass
        with otel_tts.synthesis("m"):
            pass
        raise StopIteration

    with Telemetry() as telemetry:
        with pytest.raises(StopIteration):
            Server(served(app)).ask(HTTP_UPGRADE="WebSocket", HTTP_X_REQUEST_ID="talk")
        (server,) = servers(telemetry)
        assert server.status.status_code is StatusCode.UNSET
        ids = [span.attributes["request_id"] for span in telemetry.spans if span.kind is not SpanKind.SERVER]
        assert ids == ["talk.1", "talk.2"]


# --- Flask ------------------------------------------------------------------------------------------------------------


def flask() -> Flask:
    app = Flask(__name__)

    @app.get("/say/<said>")
    def say(said: str) -> Response:
        return Response(speak(), mimetype="audio/wav")

    @app.get("/stream")
    def stream() -> Response:
        return Response(stream_with_context(iter([wav()])), mimetype="audio/wav")

    @app.get("/file")
    def file() -> Any:
        return send_file(io.BytesIO(speak()), mimetype="audio/wav")

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("what was said")

    @app.get("/busy")
    def busy() -> None:
        abort(503)

    return app


def test_flask_tells_its_route_and_its_errors() -> None:
    with Telemetry() as telemetry:
        telemetry.launch()
        app, told = flask(), {}
        for path in ("/say/purpleotter", "/stream", "/file", "/broken", "/busy", "/none"):
            answer = Server(app).ask(path)
            assert answer.header("x-request-id")
            told[path] = answer.status[:3]
        names_and_errors = {
            span.name: (
                span.attributes.get("error.type"),
                [event.attributes["exception.type"] for event in span.events],
            )
            for span in servers(telemetry)
        }
        assert told == {
            "/say/purpleotter": "200", "/stream": "200", "/file": "200",
            "/broken": "500", "/busy": "503", "/none": "404",
        }  # fmt: skip
        assert names_and_errors == {
            "GET /say/<said>": (None, []), "GET /stream": (None, []), "GET /file": (None, []),
            "GET /broken": ("500", ["RuntimeError"]), "GET /busy": ("503", []), "GET": (None, []),
        }  # fmt: skip
        assert "purpleotter" not in telemetry.everything() and "what was said" not in telemetry.everything()


# --- never two --------------------------------------------------------------------------------------------------------


def instrumented(app: Callable[..., Any], tracer: Any) -> Callable[..., Any]:
    """What OpenTelemetry's instrumentations of WSGI, Flask and Django do, by the one function that they all have."""

    def start(*args: Any) -> Any:
        return serving.make_anothers(utils._start_internal_or_server_span, *args)

    def call(environ: Any, start_response: Any) -> Any:
        from opentelemetry.propagators.textmap import DefaultGetter

        carrier = {"traceparent": environ.get("HTTP_TRACEPARENT", "")}
        span, token = start(tracer, "theirs", None, carrier, DefaultGetter())
        with trace.use_span(span, end_on_exit=True):
            result = app(environ, start_response)
        if token is not None:
            otel_context.detach(token)
        return result

    return call


def test_a_span_of_another_is_the_requests_inside_and_around() -> None:
    for put in (
        lambda app, tracer: served(instrumented(app, tracer)),
        lambda app, tracer: instrumented(served(app), tracer),
    ):
        with Telemetry() as telemetry:
            telemetry.launch()
            app = put(plain, telemetry.tracers.get_tracer("theirs"))
            Server(app).ask(HTTP_X_REQUEST_ID="req-1", **CALLER)
            (server,) = servers(telemetry)
            assert server.instrumentation_scope.name == "theirs" and server.attributes["request_id"] == "req-1"
            assert f"{server.context.trace_id:032x}" == TRACE and spoken(telemetry).parent == server.context
            assert not telemetry.recorder.serving and not telemetry.points(HTTP)


def test_a_span_of_another_that_is_not_sampled_is_the_requests_too() -> None:
    theirs = TracerProvider(ALWAYS_OFF, shutdown_on_exit=False).get_tracer("theirs")
    for put in (lambda app: served(instrumented(app, theirs)), lambda app: instrumented(served(app), theirs)):
        with Telemetry() as telemetry:
            telemetry.launch()
            Server(put(plain)).ask()
            assert telemetry.spans == [] and not telemetry.recorder.serving


def test_without_a_span_of_ours_the_id_is_kept() -> None:
    with Telemetry(server_span="contrib") as telemetry:
        telemetry.launch()
        assert Server(flask()).ask("/say/a", HTTP_X_REQUEST_ID="req-1").header("x-request-id") == ["req-1"]
        assert servers(telemetry) == [] and spoken(telemetry).attributes["request_id"] == "req-1"


def test_what_was_hooked_is_as_before() -> None:
    before = Flask.__call__
    with Telemetry() as telemetry:
        telemetry.launch()
        assert Flask.__call__ is not before
    assert Flask.__call__ is before
    assert TraceContextTextMapPropagator().fields
