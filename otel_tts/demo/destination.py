# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""An OTLP endpoint: whether it takes telemetry, and how a request is found behind it."""

from __future__ import annotations

import os
from urllib.parse import quote, urlsplit

from otel_tts.commands import suggest
from otel_tts.demo.environment import SERVICE, to_endpoint
from otel_tts.distro import destinations
from otel_tts.names import REQUEST_ID
from otel_tts.trouble import Trouble


def check(endpoint: str) -> str:
    """Return `endpoint` without a trailing slash.

    Raises ValueError for what is no URL of one, Trouble where a service's telemetry would not arrive.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{endpoint!r} is not an OTLP base URL such as http://127.0.0.1:4318")
    if parts.path.rstrip("/").endswith(("/v1/traces", "/v1/metrics", "/v1/logs")):
        raise ValueError(f"{endpoint!r} names one signal; give the base URL, without /v1/…")
    base = endpoint.rstrip("/")
    wrong = [found.detail for found in destinations.examine(to_endpoint(os.environ, base)) if not found.works]
    if wrong:
        raise Trouble(
            f"Telemetry would not arrive: {wrong[0]}\n"
            f"Start the backends with `{suggest('stack up')}`, or give the address of your Collector's OTLP receiver."
        )
    return base


def ways_to_find(request_id: str) -> list[str]:
    """Lines that tell how the request is found in the stack's servers, by hand or in Grafana."""
    tags, query = quote(f'{{"{REQUEST_ID}":"{request_id}"}}'), quote(f'{REQUEST_ID}:="{request_id}"')
    exemplars = "-d query=tts_request_duration_seconds_bucket -d start=$(date -d -1hour +%s) -d end=$(date +%s)"
    return [
        f"its spans and lines:  http://127.0.0.1:16686/trace/{request_id}",
        f"Jaeger:        curl 'http://127.0.0.1:16686/api/traces?service={SERVICE}&tags={tags}'",
        f"VictoriaLogs:  curl 'http://127.0.0.1:9428/select/logsql/query?query={query}'",
        f'Tempo (Grafana, Explore, TraceQL):  {{ span.{REQUEST_ID} = "{request_id}" }}',
        f'Loki (Grafana, Explore, LogQL):     {{service_name="{SERVICE}"}} | {REQUEST_ID} = "{request_id}"',
        f"Prometheus:    curl http://127.0.0.1:9090/api/v1/query_exemplars {exemplars}",
        f"These are the stack's usual ports; `{suggest('stack status')}` (with its --state) shows others.",
    ]
