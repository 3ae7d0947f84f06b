# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Exporters over OTLP/HTTP for the SDK's own processors and readers (``OTEL_*_EXPORTER=otel_tts_otlp``).

They stand where opentelemetry-exporter-otlp-proto-http's would and send the same bytes.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_tts import settings
from otel_tts.export import endpoint_settings, metric_preferences
from otel_tts.export.log_bytes import LogEncoder
from otel_tts.export.metric_bytes import MetricEncoder
from otel_tts.export.post import Outcome, Sender, packed
from otel_tts.export.span_bytes import SpanEncoder
from otel_tts.export.waiting import Batch, Waiting

_logger = logging.getLogger("otel_tts")
_failures = logging.getLogger("otel_tts.export")

_LARGEST: Final = 64 << 20
"""Bytes of a request before it is packed, as the SDK's exporters have it."""
_SAY_AGAIN_S: Final = 60.0

Encode = Callable[[Any], tuple[bytes, int]]


class _Otlp:
    """What the three have in common: a target, an encoder, a connection made for the first batch, batches that wait.

    `on_loss` hears how many items were given up after `export` had taken them, and why.
    """

    def __init__(self, signal: str, what: str, encode: Encode, environ: Mapping[str, str] | None) -> None:
        given = settings.read(environ)
        self.on_loss: Callable[[int, str], None] = self._tell
        self._what, self._encode = what, encode
        self._target = endpoint_settings.read(signal, environ)
        self._endpoint = self._target.place
        self._most_bytes, self._patience = given.export_bytes, given.shutdown_timeout
        self._over = False
        self._said = float("-inf")
        self._parents: list[Any] = []
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()  # a simple processor exports on its callers' threads
        self._sender: Sender | None = None
        self._waiting = Waiting(
            self._what, self._endpoint, self._most_bytes, self._send_once, lambda lost, why: self.on_loss(lost, why)
        )

    @property
    def waiting(self) -> int:
        """How many items wait because the receiver asked for it."""
        return self._waiting.items if self._pid == os.getpid() else 0

    def speak(self, seconds: float) -> Outcome:
        """Send an empty request, to see whether one would arrive."""
        return self._connected().try_once(packed(b"", self._target.compression), seconds)

    def _take(self, batch: Any, items: int) -> bool:
        """Send a batch, or keep it where the receiver wants it later. False where it is lost."""
        if self._over:
            _failures.warning("otel-tts: %d %s came after the end and are lost", items, self._what)
            return False
        if not items:
            return True
        self._renew_if_forked()
        with self._lock:
            content, encoded = self._encode(batch)
        if not self._go(content, encoded):
            return False
        if items > encoded:
            self.on_loss(items - encoded, "unencodable")
        return True

    def _go(self, content: bytes, items: int) -> bool:
        if len(content) > _LARGEST:
            _failures.warning("otel-tts: %d %s make %d bytes, too many for a request", items, self._what, len(content))
            return False
        if not items:
            return False
        batch = Batch(packed(content, self._target.compression), items)
        if self._waiting.items:
            self._waiting.add(batch)
            return True
        outcome = self._read(self._connected().send(batch.body))
        if outcome.delivered:
            return True
        if (seconds := outcome.again) is not None and self._most_bytes:
            _failures.warning(
                "otel-tts: %s wait for %s, %s; to be sent in %.3g s", self._what, self._endpoint, outcome, seconds
            )
            self._waiting.add(batch, seconds)
            return True
        _failures.error("otel-tts: %s were not taken by %s, %s", self._what, self._endpoint, outcome)
        return False

    def _send_once(self, batch: Batch) -> Outcome:
        """Send a batch that has waited: it goes on waiting where this fails, so there is no hurry."""
        return self._read(self._connected().try_once(batch.body, self._target.timeout))

    def _read(self, outcome: Outcome) -> Outcome:
        if outcome.delivered and outcome.answer is not None and (outcome.answer.rejected or outcome.answer.said):
            self._note_rejected(outcome.answer.rejected, outcome.answer.said)
        return outcome

    def _connected(self) -> Sender:
        with self._lock:
            if self._sender is None:
                self._sender = Sender(self._target, self._what)
            return self._sender

    def _note_rejected(self, rejected: int, said: str) -> None:
        if rejected:
            self.on_loss(rejected, "export_rejected")
        if time.monotonic() - self._said >= _SAY_AGAIN_S:
            self._said = time.monotonic()
            took = f"took a batch but for {rejected} {self._what}" if rejected else f"took {self._what} with a remark"
            _logger.warning("otel-tts: %s %s: %s", self._endpoint, took, said or "it does not say why")

    def _tell(self, lost: int, why: str) -> None:
        """Stand in for `on_loss` where nobody counts."""
        _logger.warning("otel-tts: %d %s for %s are lost (%s)", lost, self._what, self._endpoint, why)

    def _renew_if_forked(self) -> None:
        """Begin anew in a child, maybe of a thread that was sending: connections, locks and waits are its parent's."""
        if self._pid != os.getpid():
            self._parents += (self._sender, self._waiting)  # kept, so that nothing of the parent's is closed
            self._begin()

    def _settle(self, timeout_millis: float) -> bool:
        self._renew_if_forked()
        return self._waiting.settle(timeout_millis / 1000)

    def _end(self, timeout_millis: float) -> None:
        if self._over:
            return
        self._over = True
        self._renew_if_forked()
        self._waiting.end(min(timeout_millis / 1000, self._patience))
        if self._sender is not None:
            self._sender.close()


class OtlpSpans(_Otlp, SpanExporter):
    """Sends spans over OTLP/HTTP: the SDK's batches in, our bytes out."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Raises ValueError where an endpoint or a header cannot be used."""
        super().__init__("traces", "spans", SpanEncoder().encode, environ)

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        """Encode and send. SUCCESS for a batch that waits, too; see `waiting`."""
        return SpanExportResult.SUCCESS if self._take(spans, len(spans)) else SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is due by then. True when nothing waits."""
        return self._settle(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Wait for what is due within OTEL_TTS_SHUTDOWN_TIMEOUT, and end."""
        self._end(timeout_millis)


class OtlpLogs(_Otlp, LogRecordExporter):
    """Log records over OTLP/HTTP."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Raises ValueError where an endpoint or a header cannot be used."""
        super().__init__("logs", "log records", LogEncoder().encode, environ)

    def export(self, batch: Sequence[Any]) -> LogRecordExportResult:
        """Encode and send. SUCCESS for a batch that waits, too; see `waiting`."""
        return LogRecordExportResult.SUCCESS if self._take(batch, len(batch)) else LogRecordExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is due by then. True when nothing waits."""
        return self._settle(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Wait for what is due within OTEL_TTS_SHUTDOWN_TIMEOUT, and end."""
        self._end(timeout_millis)


class OtlpMetrics(_Otlp, MetricExporter):
    """Sends metrics over OTLP/HTTP: what the SDK's reader collects in, our bytes out."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Raises ValueError where an endpoint or a header cannot be used."""
        _Otlp.__init__(self, "metrics", "metrics", MetricEncoder().encode, environ)
        MetricExporter.__init__(
            self, metric_preferences.temporality(environ), metric_preferences.aggregation(environ)
        )  # fmt: skip

    def export(self, metrics_data: Any, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Encode and send. SUCCESS for a batch that waits, too; see `waiting`."""
        items = sum(len(scope.metrics) for part in metrics_data.resource_metrics for scope in part.scope_metrics)
        return MetricExportResult.SUCCESS if self._take(metrics_data, items) else MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Send what is due by then. True when nothing waits."""
        return self._settle(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Wait for what is due within OTEL_TTS_SHUTDOWN_TIMEOUT, and end."""
        self._end(timeout_millis)
