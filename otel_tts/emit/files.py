# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Exporters that need no server: OTLP JSON lines in a directory, one file a signal (``OTEL_*_EXPORTER=otel_tts_file``).

They are the official opentelemetry-exporter-otlp-json-file with a path: chosen by name, that one writes to stdout only.
"""

from __future__ import annotations

import os
from pathlib import Path

from opentelemetry.exporter.otlp.json.file import FileMetricExporter, FileSpanExporter
from opentelemetry.exporter.otlp.json.file._log_exporter import FileLogExporter

from otel_tts import settings


def path_of(signal: str) -> Path:
    """Return where `signal` (traces, metrics, logs) is written; makes the directory.

    Raises OSError with a message for people when the directory cannot be written.
    """
    folder = Path(settings.read().file_dir or "otel-tts-telemetry").expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"otel-tts: OTEL_TTS_FILE_DIR={folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise OSError(f"otel-tts: OTEL_TTS_FILE_DIR={folder} cannot be written to; choose another directory")
    return folder / f"{signal}.jsonl"


class TraceFile(FileSpanExporter):
    """Spans to traces.jsonl."""

    def __init__(self) -> None:
        super().__init__(path_of("traces"))


class MetricFile(FileMetricExporter):
    """Metrics to metrics.jsonl."""

    def __init__(self) -> None:
        super().__init__(path_of("metrics"))


class LogFile(FileLogExporter):
    """Log records to logs.jsonl."""

    def __init__(self) -> None:
        super().__init__(path_of("logs"))
