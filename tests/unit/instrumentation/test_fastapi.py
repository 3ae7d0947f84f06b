# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
from collections.abc import Iterator
from typing import Any

import fastapi as web
import httpx
import opentelemetry.instrumentation.fastapi as contrib
import pytest
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import INVALID_SPAN, SpanKind

from otel_tts.instrumentation.edges import fastapi


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def test_the_options_are_those_that_the_instrumentation_takes() -> None:
    taken = inspect.signature(FastAPIInstrumentor.instrument_app).parameters
    assert set(fastapi.options()) <= set(taken)
    assert fastapi.options()["exclude_spans"] == ["receive", "send"]


def test_inner_apps_are_silenced_unless_somebody_speaks() -> None:
    silent: dict[str, object] = {}
    fastapi.silence_inner_apps(INVALID_SPAN, silent)
    assert silent == {"fastapi.telemetry": None}
    speaking = {"fastapi.telemetry": "somebody"}
    fastapi.silence_inner_apps(INVALID_SPAN, speaking)
    assert speaking == {"fastapi.telemetry": "somebody"}


@pytest.fixture
def instrumented(spans: InMemorySpanExporter) -> Iterator[type[Any]]:
    """fastapi.FastAPI as it is under the launcher."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    FastAPIInstrumentor().instrument(tracer_provider=provider, **fastapi.options())
    fastapi.keep_picklable(contrib)
    yield web.FastAPI
    if FastAPIInstrumentor().is_instrumented_by_opentelemetry:
        FastAPIInstrumentor().uninstrument()


def test_an_app_is_pickled_as_a_bare_one(instrumented: type[Any]) -> None:
    bare, app = web.applications.FastAPI(), instrumented()
    asyncio.run(get(app))
    state = app.__reduce_ex__(2)[2]
    assert set(state) == set(vars(bare)) and state["middleware_stack"] is None
    assert type(app) is instrumented and repr(type(app)) == "<class 'fastapi.FastAPI'>"
    assert b"opentelemetry" not in pickle.dumps(instrumented)  # it loads where only FastAPI is


def test_a_copy_is_instrumented_where_it_is_loaded(instrumented: type[Any], spans: InMemorySpanExporter) -> None:
    app = instrumented()
    copied = copy.copy(app)
    assert type(copied) is instrumented and copied.build_middleware_stack is not app.build_middleware_stack
    for each in (app, copied):
        spans.clear()
        asyncio.run(get(each))
        assert [span.kind for span in spans.get_finished_spans()] == [SpanKind.SERVER]
    FastAPIInstrumentor().uninstrument()
    spans.clear()
    asyncio.run(get(copy.copy(app)))
    assert spans.get_finished_spans() == ()


async def get(app: Any) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        assert (await client.get("/")).status_code == 404
