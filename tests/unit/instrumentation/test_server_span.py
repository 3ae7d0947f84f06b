# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The late SERVER span: what OpenTelemetry's middleware tells of the same request, and never two."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, WebSocket
from opentelemetry import baggage, trace
from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Host, Mount, Route

import otel_tts
from otel_tts.instrumentation.edges import asgi, serving
from otel_tts.recording import request
from otel_tts.testing import Telemetry

CALLER = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
HTTP = "http.server.request.duration"


@pytest.fixture(autouse=True)
def stable_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """OpenTelemetry reads which names of HTTP are wanted once in a process: another test may have been first."""
    from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability as Stability

    monkeypatch.setattr(Stability, "_initialized", False)
    monkeypatch.setattr(Stability, "_OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING", {})
    yield
    serving.ours = True


def service() -> FastAPI:
    app, router, deep = FastAPI(), APIRouter(prefix="/v1"), APIRouter(prefix="/deep")

    @router.get("/say/{voice}")
    def say(voice: str, text: str = "") -> str:
        with otel_tts.synthesis("m"):
            return voice

    @router.get("/broken")
    def break_off() -> None:
        raise RuntimeError("what was said")

    @router.get("/busy")
    async def refuse() -> None:
        raise HTTPException(503)

    @router.get("/streamed")
    def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"a", b"b"]), media_type="audio/wav")

    @deep.get("/{x}")
    def down(x: str) -> str:
        return x

    router.include_router(deep)
    app.include_router(router)
    return app


REQUESTS: dict[str, Callable[[httpx.AsyncClient], Any]] = {
    "route": lambda c: c.get("/v1/say/anna?text=secret", headers={"user-agent": "me/1"}),
    "routers in routers": lambda c: c.get("/v1/deep/3"),
    "no route": lambda c: c.get("/nothing"),
    "wrong method": lambda c: c.post("/v1/say/anna", content=b"12345"),
    "unknown method": lambda c: c.request("BREW", "/v1/say/anna"),
    "raises": lambda c: c.get("/v1/broken"),
    "503": lambda c: c.get("/v1/busy"),
    "422": lambda c: c.get("/v1/say/a?text=1&text=2"),
    "streamed": lambda c: c.get("/v1/streamed"),
    "caller": lambda c: c.get("/v1/say/anna", headers=CALLER),
    "unsampled caller": lambda c: c.get("/v1/say/anna", headers={"traceparent": CALLER["traceparent"][:-1] + "0"}),
    "malformed caller": lambda c: c.get("/v1/say/anna", headers={"traceparent": "00-zz-1"}),
    "HEAD": lambda c: c.head("/v1/say/anna"),
    "slash": lambda c: c.get("/v1/say/anna/"),
}


def ask(app: Any, request: Callable[[httpx.AsyncClient], Any]) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service:8000") as client:
            return await request(client)

    return asyncio.run(run())


def servers(telemetry: Telemetry) -> list[Any]:
    return [span for span in telemetry.spans if span.kind is SpanKind.SERVER]


def told(telemetry: Telemetry) -> list[Any]:
    """What the server spans of a process say, their ids aside."""
    return [
        (
            span.name,
            {**span.attributes, "request_id": None},
            span.status.status_code,
            [(event.name, event.attributes.get("exception.type")) for event in span.events],
            span.parent and (span.parent.span_id, span.parent.is_remote),
        )
        for span in servers(telemetry)
    ]


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("gated", [True, False], ids=["gated", "ungated"])
def test_it_says_what_opentelemetrys_says(name: str, gated: bool) -> None:
    said, counted = {}, {}
    for who in ("own", "contrib"):
        with Telemetry(gated=gated, server_span=who) as telemetry:
            app = service()
            telemetry.launch(app)
            assert serving.ours == (who == "own")
            answer = ask(app, REQUESTS[name])
            said[who] = told(telemetry)
            counted[who] = {
                metric: sorted(telemetry.points(metric))
                for metric in (HTTP, "http.server.active_requests", "http.server.request.body.size")
            }
            assert len(said[who]) == (name != "unsampled caller")
            assert answer.headers["x-request-id"]
    assert said["own"] == said["contrib"]
    assert counted["own"] == counted["contrib"]


def test_a_synthesis_is_below_it_and_it_below_the_caller() -> None:
    with Telemetry() as telemetry:
        telemetry.launch()
        ask(service(), REQUESTS["caller"])
        (server,), synthesis = servers(telemetry), telemetry.span("text_to_speech m")
        assert synthesis.parent == server.context
        assert f"{server.context.trace_id:032x}" == CALLER["traceparent"].split("-")[1]
        assert synthesis.attributes["request_id"] == server.attributes["request_id"]


def test_in_a_handler_it_is_the_current_span_and_takes_attributes() -> None:
    with Telemetry(allow_attributes=("mine",)) as telemetry:
        telemetry.launch()
        app = FastAPI()

        @app.get("/x")
        async def answer() -> str:
            span = trace.get_current_span()
            assert span.is_recording()
            span.set_attribute("mine", "a")
            span.add_event("tts.mine")
            return str(baggage.get_baggage("tenant"))

        assert ask(app, lambda c: c.get("/x", headers={"baggage": "tenant=seven"})).json() == "seven"
        (server,) = servers(telemetry)
        assert server.attributes["mine"] == "a" and [event.name for event in server.events] == ["tts.mine"]


# --- routes -----------------------------------------------------------------------------------------------------------


def answer(request: Any) -> PlainTextResponse:
    return PlainTextResponse("x")


def test_routes_of_mounted_applications_are_told_as_a_whole() -> None:
    inner = FastAPI()
    inner.add_api_route("/in/{z}", lambda z: z)
    app = Starlette(
        routes=[
            Route("/plain/{x}", answer),
            Mount("/mount", routes=[Route("/c/{d}", answer)]),
            Mount("/inner", inner),
            Mount("/opaque", lambda *call: PlainTextResponse("o")(*call)),
            Host("other", Starlette(routes=[Route("/at/{host}", answer)])),
        ]
    )
    with Telemetry() as telemetry:
        telemetry.launch()
        for path in ("/plain/1", "/mount/c/2", "/inner/in/3", "/opaque/anything", "/none"):
            ask(app, lambda c, path=path: c.get(path))
        ask(app, lambda c: c.get("http://other/at/5"))
        assert [span.name for span in servers(telemetry)] == [
            "GET /plain/{x}", "GET /mount/c/{d}", "GET /inner/in/{z}", "GET /opaque", "GET", "GET /at/{host}",
        ]  # fmt: skip


def connect(app: Any, path: str, *said: str) -> list[str]:
    """Speak with a WebSocket; return the kinds of messages that it answered with."""
    waiting = [{"type": "websocket.connect"}, *({"type": "websocket.receive", "text": text} for text in said)]
    answered: list[str] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        answered.append(message["type"])

    scope = {"type": "websocket", "path": path, "headers": [], "subprotocols": [], "query_string": b"", "scheme": "ws"}
    asyncio.run(app({**scope, "asgi": {"spec_version": "2.3"}}, receive, send))
    return answered


def test_a_websocket_is_one_span() -> None:
    app = FastAPI()

    @app.websocket("/talk/{room}")
    async def talk(socket: WebSocket, room: str) -> None:
        await socket.accept()
        for _ in range(2):
            with otel_tts.synthesis("m"):
                await socket.send_text(await socket.receive_text())
        await socket.close()

    @app.websocket("/closed")
    async def refuse(socket: WebSocket) -> None:
        await socket.close()

    with Telemetry() as telemetry:
        telemetry.launch()
        connect(app, "/talk/1", "a", "b")
        connect(app, "/closed")
        talked, refused = servers(telemetry)
        assert (talked.name, talked.attributes["http.response.status_code"]) == ("/talk/{room}", 101)
        assert (refused.name, refused.attributes["http.response.status_code"]) == ("/closed", 403)
        utterances = [span for span in telemetry.spans if span.name == "text_to_speech m"]
        assert [span.parent for span in utterances] == [talked.context] * 2
        assert telemetry.points(HTTP) == {}


# --- never two --------------------------------------------------------------------------------------------------------


def test_who_switches_another_on_gets_its_span_in_the_place_of_ours() -> None:
    from starlette.middleware.opentelemetry import OpenTelemetryMiddleware as Starlettes

    seen: list[str] = []
    for add in (
        lambda app, provider: FastAPIInstrumentor.instrument_app(
            app, tracer_provider=provider, server_request_hook=lambda *_: seen.append("hook")
        ),
        lambda app, provider: app.add_middleware(OpenTelemetryMiddleware, tracer_provider=provider),
        lambda app, provider: app.add_middleware(Starlettes, tracer_provider=provider),
    ):
        with Telemetry() as telemetry:
            telemetry.launch()
            app = service()
            add(app, telemetry.tracers)
            ask(app, REQUESTS["caller"])
            (server,) = servers(telemetry)
            assert server.instrumentation_scope.name != "otel_tts" and server.attributes["request_id"]
            assert f"{server.context.trace_id:032x}" == CALLER["traceparent"].split("-")[1]
            inside = telemetry.span("text_to_speech m")
            assert inside.context.trace_id == server.context.trace_id and not telemetry.recorder.serving
            FastAPIInstrumentor.uninstrument_app(app)
    assert seen == ["hook"]


def test_one_around_the_application_is_adopted() -> None:
    with Telemetry() as telemetry:
        telemetry.launch()
        app = OpenTelemetryMiddleware(service(), tracer_provider=telemetry.tracers, exclude_spans=["receive", "send"])
        ask(app, REQUESTS["route"])
        (server,) = servers(telemetry)
        assert server.instrumentation_scope.name == "opentelemetry.instrumentation.asgi"
        assert telemetry.span("text_to_speech m").parent == server.context


def test_fastapis_own_stands_down() -> None:
    with Telemetry() as telemetry:
        before = trace.get_tracer_provider()
        telemetry.launch()
        ask(service(), REQUESTS["route"])
        assert [span.instrumentation_scope.name for span in servers(telemetry)] == ["otel_tts"]
        assert trace.get_tracer_provider() is before


# --- what is not traced -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS"])
def test_excluded_urls_leave_no_span_and_keep_their_ids(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "health,service:8000/v1/deep")
    with Telemetry() as telemetry:
        telemetry.launch()
        app = service()
        assert ask(app, REQUESTS["routers in routers"]).headers["x-request-id"]
        ask(app, lambda c: c.get("/health"))
        ask(app, REQUESTS["route"])
        assert [span.name for span in servers(telemetry)] == ["GET /v1/say/{voice}"]


class Look(Sampler):
    """Decides by what a span says of itself at its start."""

    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, kind: Any = None, attributes: Any = None, links: Any = None
    ) -> SamplingResult:
        wanted = kind is not SpanKind.SERVER or (attributes or {}).get("http.route") != "/v1/deep/{x}"
        return SamplingResult(Decision.RECORD_AND_SAMPLE if wanted else Decision.DROP, attributes)

    def get_description(self) -> str:
        return "looks"


def test_a_sampler_of_the_applications_own_sees_route_and_kind() -> None:
    with Telemetry(tracer_provider=TracerProvider(ParentBased(Look()), shutdown_on_exit=False)) as telemetry:
        telemetry.launch()
        app = service()
        ask(app, REQUESTS["routers in routers"])
        ask(app, REQUESTS["route"])
        assert [span.name for span in servers(telemetry)] == ["GET /v1/say/{voice}"]
        assert len(telemetry.points(HTTP)) == 2  # metrics are of all


def test_unsampled_requests_are_counted() -> None:
    with Telemetry(tracer_provider=TracerProvider(ALWAYS_OFF, shutdown_on_exit=False)) as telemetry:
        telemetry.launch()
        ask(service(), REQUESTS["route"])
        assert telemetry.spans == [] and [count for count, _ in telemetry.points(HTTP).values()] == [1]


@pytest.mark.parametrize(
    ("variables", "ours"),
    [
        ({}, True),
        ({"OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "x-.*"}, False),
        ({"OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE": "x-.*"}, False),
        ({"OTEL_SEMCONV_STABILITY_OPT_IN": "database"}, False),
        ({"OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup"}, False),
        ({"OTEL_SEMCONV_STABILITY_OPT_IN": "http,database"}, True),
    ],
)
def test_what_only_opentelemetrys_can_is_its_own(variables: dict[str, str], ours: bool) -> None:
    from otel_tts.settings import read

    assert serving.choose(read({}), variables) is ours
    assert serving.choose(read({"OTEL_TTS_SERVER_SPAN": "contrib"}), variables) is False


# --- ends -------------------------------------------------------------------------------------------------------------


def test_it_ends_with_the_answer_and_leaves_before_background_tasks_have_run() -> None:
    app = FastAPI()

    with Telemetry() as telemetry:
        telemetry.launch()
        during: list[Any] = []

        def look_back() -> None:
            during.extend(servers(telemetry))
            with otel_tts.synthesis("m"):
                pass

        @app.get("/x")
        def answer(tasks: BackgroundTasks) -> str:
            tasks.add_task(look_back)
            return "x"

        ask(app, lambda c: c.get("/x"))
        (server,) = during
        assert telemetry.span("text_to_speech m").parent == server.context
        assert servers(telemetry) == [server]


def test_an_application_that_breaks_off_has_failed() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("what was said")

    with Telemetry() as telemetry:
        telemetry.launch()
        ask(Starlette(routes=[Mount("/", app)]), lambda c: c.get("/x"))
        (server,) = servers(telemetry)
        assert server.status.status_code is StatusCode.ERROR and server.attributes["error.type"] == "RuntimeError"
        assert server.attributes["http.response.status_code"] == 200
        assert "what was said" not in telemetry.everything()
        assert not telemetry.recorder.serving


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ALWAYS_ON], ids=["off", "on"])
def test_a_foreign_provider_takes_nothing_along(sampler: Sampler) -> None:
    """BentoML's way: its middleware has a provider of its own, whose spans may go nowhere."""
    foreign = TracerProvider(sampler, shutdown_on_exit=False)

    def say(_: Any) -> PlainTextResponse:
        with otel_tts.synthesis("m"), otel_tts.stage("vocoder"):
            assert not trace.get_current_span().get_span_context().is_remote
        return PlainTextResponse("said")

    with Telemetry() as telemetry:
        telemetry.launch()
        app = Starlette(routes=[Route("/say", say)])
        app.add_middleware(OpenTelemetryMiddleware, tracer_provider=foreign)
        ask(app, lambda client: client.get("/say", headers=CALLER))
        (server,), synthesis = servers(telemetry), telemetry.span("text_to_speech m")
        assert synthesis.parent == server.context and telemetry.span("tts.vocoder").parent == synthesis.context
        assert server.context.trace_id == int(CALLER["traceparent"].split("-")[1], 16)


def test_a_scope_that_is_pickled_on_its_way_goes_on_in_the_same_trace() -> None:
    """Ray Serve's way: its proxy, an application of no framework, pickles the scope for a replica."""
    replica = service()

    class Proxy(Starlette):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            kept = {key: value for key, value in scope.items() if key not in ("app", "extensions")}
            token = context_api.attach(Context())  # another process knows only what was pickled
            previous = request.current.set(None)
            try:
                await replica(pickle.loads(pickle.dumps(kept)), receive, send)
            finally:
                request.current.reset(previous)
                context_api.detach(token)

    Proxy.__call__ = asgi.with_edge(Proxy.__call__)
    with Telemetry() as telemetry:
        telemetry.launch()
        ask(Proxy(), REQUESTS["caller"])
        outer, inner = sorted(servers(telemetry), key=lambda span: span.start_time)
        assert inner.parent.span_id == outer.context.span_id and inner.name == "GET /v1/say/{voice}"
        assert telemetry.span("text_to_speech m").parent == inner.context
        assert outer.parent.span_id == int(CALLER["traceparent"].split("-")[2], 16)
        assert outer.attributes["request_id"] == inner.attributes["request_id"]
