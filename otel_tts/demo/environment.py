# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The environment of the demo service: the variables anyone would set, and nothing else of OpenTelemetry's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

SERVICE: Final = "otel-tts-demo"

# What a destination may need of the caller's environment; the rest of OTEL_* would make another demo of it.
_KEPT: Final = (
    "OTEL_TTS_",
    "OTEL_LOG_LEVEL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
)


def to_files(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return `environ` for a service whose telemetry goes to files in `folder`."""
    return _with(environ, "otel_tts_file", {"OTEL_TTS_FILE_DIR": str(folder)})


def to_endpoint(environ: Mapping[str, str], endpoint: str) -> dict[str, str]:
    """Return `environ` for a service whose telemetry goes to the OTLP base URL `endpoint`: by gRPC on its port 4317."""
    destination = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": "2000",  # milliseconds; a rate needs two samples of a short run
    }
    return _with(environ, "otlp", destination)


def _with(environ: Mapping[str, str], exporter: str, destination: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith("OTEL_") or name.startswith(_KEPT)}
    exporters = {f"OTEL_{signal}_EXPORTER": exporter for signal in ("TRACES", "METRICS", "LOGS")}
    return {**kept, "OTEL_SERVICE_NAME": SERVICE, **exporters, **destination}
