# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The private names of OpenTelemetry's Prometheus exporter that a forked child relies on.

tests/unit/otel_private/test_prometheus.py pins what they do.
"""

from __future__ import annotations

from typing import Any


def begin_anew(reader: Any) -> Any:
    """Forget in a forked child what the parent had collected; return a registry of its own, with a lock of its own."""
    collector = reader._collector
    collector._target_info = None
    collector._metrics_datas.clear()
    reader._registry = type(reader._registry)()
    reader._registry.register(collector)
    return reader._registry
