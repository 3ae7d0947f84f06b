# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The request's spans with the SDK and fastotel's processor, which encodes and sends on a native thread."""

from __future__ import annotations

from collections.abc import Callable

from fastotel import OTLPSpanProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from tests.bench import by_api


def make() -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a request and a flush."""
    tracers = TracerProvider(resource=Resource.create({"service.name": "bench"}))
    tracers.add_span_processor(OTLPSpanProcessor(max_queue_size=16384))

    def flush() -> None:
        tracers.force_flush()

    return by_api.spans(tracers.get_tracer("bench")), flush
