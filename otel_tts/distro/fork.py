# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A forked child is a process of its own: its own threads, its own counts, its own pid.

The SDK re-makes its export threads and service.instance.id after a fork, but keeps the sums that the parent had
counted: with a new instance id they would be counted twice. gunicorn --preload forks after the application ran.
"""

from __future__ import annotations

import sys
from typing import Any

from otel_tts import forking
from otel_tts.distro import losses, shutdown
from otel_tts.distro.resource import process_attributes
from otel_tts.guard import contain, faults
from otel_tts.otel_private import exporters, providers
from otel_tts.otel_private.pipeline import Pipeline

_pipeline: Pipeline | None = None
_registered = False


def install(pipeline: Pipeline) -> None:
    """Renew what a child inherits."""
    global _pipeline, _registered
    _pipeline = pipeline
    if not _registered:
        _registered = True
        forking.register("fork", renew=_renew)


def uninstall() -> None:
    """Leave children alone again (tests)."""
    global _pipeline
    _pipeline = None


def _renew() -> None:
    if _pipeline is None:
        return
    contain("fork.losses", losses.renew)
    contain("fork.connections", _open_own_connections, _pipeline)
    contain("fork.resource", providers.add_to_resource, _pipeline, process_attributes())
    contain("fork.metrics", _forget_parents_counts, _pipeline.metrics)
    contain("fork.process", _measure_this_process)
    contain("fork.gate", _forget_counts)
    contain("fork.threads", shutdown.renew)  # the last: before it a signal finds nothing to flush


def _open_own_connections(pipeline: Pipeline) -> None:
    from otel_tts.otel_private import providers

    processors = (*providers.span_processors(pipeline.traces), *providers.log_processors(pipeline.logs))
    for holder in (*processors, *providers.metric_readers(pipeline.metrics)):
        exporter: Any = providers.exporter_of(holder)
        while hasattr(exporter, "exporter"):  # gate, counter
            exporter = exporter.exporter
        exporters.renew_connections(exporter)


def _forget_parents_counts(meter_provider: Any) -> None:
    from otel_tts.otel_private import providers

    providers.reset_metric_state_after_fork(meter_provider)


def _forget_counts() -> None:
    from otel_tts.privacy import policy

    policy.forget_counts()
    faults.clear()


def _measure_this_process() -> None:
    """Point the process metrics at the child: the instrumentation keeps the pid it was made with."""
    module = sys.modules.get("opentelemetry.instrumentation.system_metrics")
    instrumentor = getattr(getattr(module, "SystemMetricsInstrumentor", None), "_instance", None)
    if getattr(instrumentor, "_proc", None) is not None:
        import psutil

        instrumentor._proc = psutil.Process()  # type: ignore[union-attr]
