# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry's own instrumentations, inside of the edge, around it, several at once, and not sampled: never two."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"  # read once in a process

import pytest
from flask import Flask
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, get_current_span
from werkzeug.test import Client, TestResponse

import otel_tts
from otel_tts.testing import Telemetry

CALLER = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x-request-id": "req-1"}


def site() -> Flask:
    app = Flask(__name__)

    @app.get("/speak/<said>")
    def speak(said: str) -> str:
        with otel_tts.synthesis("m", text=said):
            return "spoken"

    @app.get("/stream")
    def stream() -> Any:
        return (piece for piece in ("a", "b"))

    return app


def by_flask(app: Flask, provider: Any) -> Any:
    FlaskInstrumentor.instrument_app(app, tracer_provider=provider)
    return app


def inside(app: Flask, provider: Any) -> Any:
    app.wsgi_app = OpenTelemetryMiddleware(app.wsgi_app, tracer_provider=provider)
    return app


def around(app: Flask, provider: Any) -> Any:
    return OpenTelemetryMiddleware(app, tracer_provider=provider)


def both(app: Flask, provider: Any) -> Any:
    return inside(by_flask(app, provider), provider)


PLACES: list[Callable[[Flask, Any], Any]] = [by_flask, inside, around, both]


@pytest.fixture(autouse=True)
def nothing_is_left_current() -> Iterator[None]:
    yield
    assert not get_current_span().get_span_context().is_valid


def ask(app: Any, path: str) -> TestResponse:
    return Client(app).get(path, headers=CALLER)


@pytest.mark.parametrize("put", PLACES)
def test_theirs_is_the_requests(put: Callable[[Flask, Any], Any]) -> None:
    with Telemetry() as telemetry:
        telemetry.launch()
        app = put(site(), telemetry.tracers)
        for path in ("/speak/purpleotter", "/stream", "/speak/purpleotter"):
            answer = ask(app, path)
            assert answer.status_code == 200 and answer.headers.getlist("x-request-id") == ["req-1"] and answer.data
        served = [span for span in telemetry.spans if span.kind is SpanKind.SERVER]
        assert len(served) == 3 and not telemetry.recorder.serving
        assert all(span.instrumentation_scope.name.startswith("opentelemetry.instrumentation.") for span in served)
        assert {span.attributes["request_id"] for span in served} == {"req-1"}
        assert {f"{span.context.trace_id:032x}" for span in telemetry.spans} == {CALLER["traceparent"].split("-")[1]}
        assert len([span for span in telemetry.spans if span.name == "text_to_speech m"]) == 2
        assert "purpleotter" not in telemetry.everything()


@pytest.mark.parametrize("put", PLACES)
def test_theirs_is_the_requests_where_it_is_not_sampled(put: Callable[[Flask, Any], Any]) -> None:
    with Telemetry() as telemetry:
        telemetry.launch()
        answer = ask(put(site(), TracerProvider(ALWAYS_OFF, shutdown_on_exit=False)), "/speak/a")
        assert answer.headers["x-request-id"] == "req-1" and answer.data
        assert telemetry.spans == [] and not telemetry.recorder.serving


def test_ours_says_what_their_middleware_says() -> None:
    told = []
    for own in (True, False):
        with Telemetry() as telemetry:
            telemetry.launch()
            plain = site()
            ask(plain if own else inside(plain, telemetry.tracers), "/speak/a")
            (span,) = [span for span in telemetry.spans if span.kind is SpanKind.SERVER]
            told.append({name: value for name, value in span.attributes.items() if name != "http.route"})
    assert told[0] == told[1]
