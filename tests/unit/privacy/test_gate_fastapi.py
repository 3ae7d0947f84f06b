# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What two instrumentations of FastAPI record about a request whose text stands everywhere, after the gate."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.instrumentation.logging.handler import LoggingHandler

from tests.unit.support.gate_kit import Pipeline, plain

fastapi = pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")

TEXT = "meet me at the old harbour"
WORDS = ("harbour", "meet me", "meet%20me", "meet+me", "x-voice-secret", "tok3n")


class Refused(ValueError):
    """An exception whose message quotes the request."""


def _routes(app: Any, logger: logging.Logger) -> Any:
    @app.get("/say/{text}")
    def say(text: str, q: str = "") -> dict[str, int]:
        logger.warning("saying %s", text, extra={"said": q})
        return {"length": len(text)}

    @app.get("/fail/{text}")
    def fail(text: str) -> None:
        raise Refused(f"cannot say {text}")

    sub = fastapi.FastAPI()

    @sub.get("/say/{text}")
    def say_below(text: str) -> dict[str, int]:
        return {"length": len(text)}

    app.mount("/below", sub)
    return app


async def _ask(app: Any) -> list[int]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"x-voice-secret": "tok3n", "user-agent": TEXT, "tracestate": "said=harbour", "baggage": "said=harbour"}
    headers["traceparent"] = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    async with httpx.AsyncClient(transport=transport, base_url="http://harbour.example") as client:
        paths = [f"/say/{TEXT}?q={TEXT}", f"/fail/{TEXT}", f"/nowhere/{TEXT}", f"/below/say/{TEXT}", f"/say/{TEXT}"]
        methods = ["GET", "GET", "GET", "GET", "SPEAK"]
        return [(await client.request(m, p, headers=headers)).status_code for m, p in zip(methods, paths, strict=True)]


@pytest.fixture
def logger() -> logging.Logger:
    return logging.Logger("app.speech")


@pytest.fixture
def http_conventions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability as Stability

    monkeypatch.setattr(Stability, "_initialized", False)
    monkeypatch.setattr(Stability, "_OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING", {})
    yield


def _check(pipe: Pipeline) -> list[Any]:
    exported = pipe.everything()
    for word in WORDS:
        assert word.encode() not in exported, word
    spans = pipe.spans()
    assert spans and pipe.metrics()
    for span in spans:
        assert not {
            key for key in plain(span.attributes) if key.startswith(("url.p", "url.q", "url.f", "client", "user"))
        }
        assert span.trace_state == ""
    return spans


@pytest.mark.parametrize("opt_in", ["", "http", "http/dup"])
@pytest.mark.usefixtures("http_conventions")
def test_contrib(opt_in: str, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.fastapi")
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", opt_in)
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", ".*")
    pipe = Pipeline()
    logger.addHandler(LoggingHandler(logger_provider=pipe.loggers, log_code_attributes=True))
    app = _routes(fastapi.FastAPI(), logger)
    providers = {"tracer_provider": pipe.tracers, "meter_provider": pipe.meters}
    instrumentation.FastAPIInstrumentor.instrument_app(app, **providers)
    assert asyncio.run(_ask(app)) == [200, 500, 404, 200, 405]
    spans = _check(pipe)
    servers = [span for span in spans if span.kind == 2]
    assert {span.name for span in servers} == {
        "GET /say/{text}", "GET /fail/{text}", "GET", "GET /below", "HTTP /say/{text}",
    }  # fmt: skip
    assert {span.name for span in spans} - {span.name for span in servers} == {"http send"}
    failed = next(span for span in servers if span.name == "GET /fail/{text}")
    types = {plain(event.attributes).get("exception.type") for event in failed.events}
    assert types == {f"{Refused.__module__}.Refused"}
    assert failed.status.message == ""
    assert [record.body.string_value.rpartition(":")[0] for record in pipe.logs()] == [
        "WARN app.speech test_gate_fastapi.py"
    ]


def test_fastapis_own(logger: logging.Logger) -> None:
    pytest.importorskip("fastapi.telemetry")
    pipe = Pipeline()
    logger.addHandler(LoggingHandler(logger_provider=pipe.loggers, log_code_attributes=True))
    telemetry = {
        "tracer_provider": pipe.tracers,
        "meter_provider": pipe.meters,
        "logger_provider": pipe.loggers,
        "tracing": True,
        "metrics": True,
        "logs": True,
        "operation_spans": True,
    }
    app = _routes(fastapi.FastAPI(telemetry=telemetry), logger)
    assert asyncio.run(_ask(app)) == [200, 500, 404, 200, 405]
    spans = _check(pipe)
    servers = {span.name for span in spans if span.kind == 2}
    assert {"GET /say/{text}", "GET /fail/{text}", "GET", "GET /below/say/{text}"} <= servers
    assert {span.name for span in spans if span.kind != 2} <= {
        "fastapi.dependencies", "fastapi.endpoint", "fastapi.serialization",
    }  # fmt: skip
    (event,) = (record for record in pipe.logs() if record.event_name == "http.server.request.exception")
    assert plain(event.attributes)["exception.type"].endswith("Refused")
    assert not {"exception.message", "exception.stacktrace"} & set(plain(event.attributes))
