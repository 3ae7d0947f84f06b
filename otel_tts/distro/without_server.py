# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OTEL_TTS_FILE_DIR: telemetry goes to files there, beside a server where one is named and without one where not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from otel_tts.otel_private.pipeline import SIGNALS

FILE: Final = "otel_tts_file"
_OTLP: Final = "otlp"
_VARIABLE: Final = "OTEL_TTS_FILE_DIR"


def exporters(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the values of OTEL_TRACES_EXPORTER and its like that are not as they were given."""
    to_files = bool(environ.get(_VARIABLE, "").strip())
    values: dict[str, str] = {}
    for signal in SIGNALS:
        given = named(environ, signal)
        wanted = given or ([_OTLP] if not to_files or _has_server(environ, signal) else [])
        if to_files and not {"none", FILE} & set(wanted):
            wanted = [*wanted, FILE]
        if wanted != given:
            values[_exporter(signal)] = ",".join(wanted)
    return values


def _has_server(environ: Mapping[str, str], signal: str) -> bool:
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    return any(environ.get(name, "").strip() for name in endpoints) or any(_OTLP in named(environ, s) for s in SIGNALS)


def named(environ: Mapping[str, str], signal: str) -> list[str]:
    """Return the exporters that OTEL_TRACES_EXPORTER or its like names."""
    return [name.strip() for name in environ.get(_exporter(signal), "").split(",") if name.strip()]


def _exporter(signal: str) -> str:
    return f"OTEL_{signal.upper()}_EXPORTER"
