# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The request with Traceloop's set-up (OpenLLMetry) and OpenTelemetry's API. No log lines."""

from __future__ import annotations

import os
from collections.abc import Callable

from opentelemetry import metrics, trace
from traceloop.sdk import Traceloop

from tests.bench import by_api


def make() -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a request and a flush."""
    Traceloop.init(
        app_name="bench", api_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"], telemetry_enabled=False,
        traceloop_sync_enabled=False,
    )  # fmt: skip
    request = by_api.request(trace.get_tracer("bench"), metrics.get_meter("bench"), by_api.no_log)
    return request, by_api.flush
