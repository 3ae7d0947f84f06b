# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The request with OpenLIT's set-up and OpenTelemetry's API, as it recommends for spans of one's own. No log lines."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import openlit
from opentelemetry import metrics, trace

from tests.bench import by_api


def make() -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a request and a flush."""
    with tempfile.TemporaryDirectory() as folder:
        prices = Path(folder) / "prices.json"  # else it asks the internet for them
        prices.write_text("{}")
        openlit.init(
            application_name="bench",
            otlp_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"],
            pricing_json=str(prices),
        )
    request = by_api.request(trace.get_tracer("bench"), metrics.get_meter("bench"), by_api.no_log)
    return request, by_api.flush
