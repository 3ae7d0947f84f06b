# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Tells the Collector that somebody watches: the time of the last look, as a metric of the service that is watched.

A watcher that is gone cannot say so; the alert TTSWatcherGone does. Where it is sent to OTEL_* variables say, as for a
service.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from otel_tts import names, settings
from otel_tts.distro import console_warnings, defaults, losses
from otel_tts.distro.gating import Gating
from otel_tts.distro.providers import Providers, exports_by_the_sdks
from otel_tts.guard import contain
from otel_tts.otel_private.pipeline import global_pipeline
from otel_tts.version import __version__


class Heartbeat:
    """Sends `looked_at()`, Unix time and 0 before the first look, until `end`."""

    def __init__(self, service: str, looked_at: Callable[[], float]) -> None:
        defaults.lend(os.environ)
        try:
            gating = Gating(settings.read(), exports_by_the_sdks())
            Providers(gating).make(["metrics"], {"service.name": service} if service else {})
        finally:
            defaults.take_back(os.environ)
        console_warnings.install()
        contain("losses", losses.watch, global_pipeline())  # a Collector that is down is said once, not each time
        self._looked_at = looked_at
        metrics.get_meter(names.SCOPE, __version__).create_observable_gauge(
            names.WATCH_HEARTBEAT.name, [self._read], names.WATCH_HEARTBEAT.unit, names.WATCH_HEARTBEAT.meaning
        )

    def _read(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(at)] if (at := self._looked_at()) else []

    def end(self) -> None:
        """Send the last one, in a few seconds at most."""
        shutdown = getattr(metrics.get_meter_provider(), "shutdown", None)
        if shutdown is not None:
            shutdown(timeout_millis=3000)
