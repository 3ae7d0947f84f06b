# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How much waits to be verified, and since when: said at the end of a run, and sent as metrics."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otel_tts import names
from otel_tts.archiving import sources
from otel_tts.archiving.collecting import PIECES
from otel_tts.archiving.ledger import Ledger

SERVICE: Final = "otel-tts-archive"


@dataclass(frozen=True)
class Figures:
    """Bytes that are not verified, since when (Unix seconds; now where nothing waits), and bytes of all files."""

    waiting_bytes: int
    waiting_since: float
    kept_bytes: int


def count(folder: Path, home: Path, ledger: Ledger, kept_bytes: int) -> Figures:
    """What is true now. Raises OSError."""
    parts = [part for part in ledger.parts if not part.verified]
    unread = sum(max(0, one.size - _done(ledger, one.key)) for one in sources.find(folder))
    pieces = sum((home / PIECES / piece.file).stat().st_size for piece in ledger.pieces)
    since = min([*(part.taken for part in parts), *(piece.taken for piece in ledger.pieces)], default=time.time())
    return Figures(unread + pieces + sum(part.size for part in parts), since, kept_bytes)


def send(figures: Figures, environ: Mapping[str, str] = os.environ) -> bool:
    """Send them over OTLP, where OTEL_EXPORTER_OTLP_ENDPOINT says; whether they arrived. Never raises."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult
    from opentelemetry.sdk.resources import Resource

    from otel_tts.export.exporters import OtlpMetrics

    try:
        exporter, reader = OtlpMetrics(environ), InMemoryMetricReader()
        resource = Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME") or SERVICE})
        provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        meter = provider.get_meter(names.SCOPE)
        for metric, value in (
            (names.ARCHIVE_WAITING_SIZE, figures.waiting_bytes),
            (names.ARCHIVE_WAITING_SINCE, figures.waiting_since),
            (names.ARCHIVE_SIZE, figures.kept_bytes),
        ):
            meter.create_gauge(metric.name, metric.unit, metric.meaning).set(value)
        taken = exporter.export(reader.get_metrics_data()) is MetricExportResult.SUCCESS and not exporter.waiting
        exporter.shutdown(0)
        return taken
    except Exception:  # an address that is none: the archive itself is done
        return False


def _done(ledger: Ledger, key: str) -> int:
    source = ledger.sources.get(key)
    return 0 if source is None else source.done
