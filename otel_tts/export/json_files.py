# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The exporters ``otel_tts_file``: OTLP JSON, one export a line, made by OpenTelemetry's own encoder.

Not its file exporters: they write to one path, cut lines where a disk is full, and a lock of theirs may be held at a
fork. OTEL_TTS_FILE_DIR switches these on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from opentelemetry.exporter.otlp.json.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.json.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_tts.export import metric_preferences, shared_folder
from otel_tts.export.own_file import OwnFile

NAME: Final = "otel_tts_file"
_logger = logging.getLogger("otel_tts.export")


class TraceFile(SpanExporter):
    """Writes spans to traces-HOST-PID.jsonl, a batch a line."""

    def __init__(self) -> None:
        """Raises OSError, with a message for people, where the folder cannot be written to."""
        self.file = _prepared("traces")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append the batch as a line."""
        written = _write(self.file, spans, encode_spans)
        return SpanExportResult.SUCCESS if written else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Let go of the file."""
        self.file.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True at once: `export` has written what it was given."""
        return True


class LogFile(LogRecordExporter):
    """Writes log records to logs-HOST-PID.jsonl, a batch a line."""

    def __init__(self) -> None:
        """Raises OSError, with a message for people, where the folder cannot be written to."""
        self.file = _prepared("logs")

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Append the batch as a line."""
        written = _write(self.file, batch, encode_logs)
        return LogRecordExportResult.SUCCESS if written else LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        """Let go of the file."""
        self.file.close()

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        """True at once: `export` has written what it was given."""
        return True


class MetricFile(MetricExporter):
    """Writes metrics to metrics-HOST-PID.jsonl, a collection a line."""

    def __init__(self) -> None:
        """Raises OSError, with a message for people, where the folder cannot be written to."""
        super().__init__(metric_preferences.temporality(), metric_preferences.aggregation())
        self.file = _prepared("metrics")

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Append the metrics as a line."""
        written = not metrics_data.resource_metrics or _append(self.file, _line(encode_metrics(metrics_data).to_dict()))
        return MetricExportResult.SUCCESS if written else MetricExportResult.FAILURE

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Let go of the file."""
        self.file.close()

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """True at once: `export` has written what it was given."""
        return True


def _prepared(signal: str) -> OwnFile:
    shared = shared_folder.from_settings()
    shared.prepare()
    return OwnFile(signal, shared)


def _write(file: OwnFile, batch: Sequence[Any], encode: Callable[[Sequence[Any]], Any]) -> bool:
    """Append `batch`, in as many lines as its size asks for."""
    if not batch:
        return True
    line = _line(encode(batch).to_dict())
    if len(line) > file.largest_line and (half := len(batch) // 2):
        return _write(file, batch[:half], encode) and _write(file, batch[half:], encode)
    return _append(file, line)


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def _append(file: OwnFile, line: bytes) -> bool:
    try:
        file.write(line)
    except OSError as error:
        _logger.error("otel-tts: nothing was written to %s: %s", file.folder.path, error)
        return False
    return True
