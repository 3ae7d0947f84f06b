# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Sets this process's telemetry up, from OTEL_* variables or from a configuration file (OTEL_CONFIG_FILE).

Whatever fails here, the application runs; and unless the privacy gate stands, nothing is exported.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from otel_tts import settings as table
from otel_tts.distro import (
    console_warnings,
    defaults,
    fork,
    losses,
    propagation,
    sdk_components,
    shutdown,
    start_line,
)
from otel_tts.distro.distro import is_helper, is_on
from otel_tts.distro.pipeline import SIGNALS, Pipeline, already_set, global_pipeline
from otel_tts.distro.resource import attributes
from otel_tts.guard import contain
from otel_tts.instrumentation import asgi, loguru
from otel_tts.instrumentation import logging as log_lines
from otel_tts.settings import Settings

_logger = logging.getLogger("otel_tts")

_pipeline: Pipeline | None = None


class Configurator(sdk_components.Configurator):
    """Entry point ``otel_tts``. A second call does nothing."""

    def _configure(self, **kwargs: Any) -> None:
        global _pipeline
        console_warnings.install()
        try:
            if _pipeline is not None:
                _logger.debug("otel-tts is configured already; the second call changes nothing")
            elif not is_on():
                _logger.log(
                    logging.DEBUG if is_helper() else logging.INFO,
                    "otel-tts: off (OTEL_TTS_ENABLED=false or OTEL_SDK_DISABLED=true)",
                )
            else:
                _pipeline = self._start(table.read(), kwargs)
        except Exception as error:
            _logger.warning("otel-tts: telemetry is off: %s", explain(error))
            _logger.debug("otel-tts: it failed here", exc_info=True)
        finally:
            contain("propagation", propagation.mend)
            contain("semconv", sdk_components.settle_http_conventions)
            defaults.take_back(os.environ)

    def _start(self, settings: Settings, kwargs: dict[str, Any]) -> Pipeline:
        pipeline = self._make_providers(kwargs)
        try:
            self._complete_resource(pipeline)
            gate = self._close_gate(pipeline, settings)
        except Exception:
            _silence(pipeline)
            raise
        clock = self._record(pipeline, settings)
        self._watch_for_losses(pipeline)
        self._prepare_for_the_end(pipeline, settings)
        self._instrument_the_edges(pipeline)
        self._tell(pipeline, settings, gate, clock)
        return pipeline

    def _make_providers(self, kwargs: dict[str, Any]) -> Pipeline:
        joined = already_set()
        missing = [signal for signal in SIGNALS if signal not in joined]
        if joined and "OTEL_CONFIG_FILE" not in os.environ:
            sdk_components.build(missing)
        elif missing:
            # With a file the SDK warns about every argument that it does not use.
            super()._configure(**({} if "OTEL_CONFIG_FILE" in os.environ else kwargs))
        return global_pipeline(joined)

    def _complete_resource(self, pipeline: Pipeline) -> None:
        """Here and not as a detector, since a configuration file or a user's own list would leave that out."""
        known = sdk_components.resource_of(pipeline.traces)
        added = {k: v for k, v in (contain("resource", attributes) or {}).items() if k not in known}
        contain("resource", sdk_components.add_to_resource, pipeline, added)

    def _close_gate(self, pipeline: Pipeline, settings: Settings) -> str:
        """Put the gate before what was made here; exporters of the application's own providers are its own."""
        from otel_tts.emit import canary, gate
        from otel_tts.emit.privacy import Policy

        policy = Policy.from_settings(settings)
        traces, metrics, logs = (None if s in pipeline.joined else pipeline.provider(s) for s in SIGNALS)
        if traces is metrics is logs is None:
            return "none(the application's own providers)"
        gate.install(traces, metrics, logs, policy)
        if (reason := canary.check(policy, traces, metrics, logs)) is not None:
            canary.refuse(policy, reason)
            return "refusing"
        if withheld := policy.dropped_resource_keys():
            _logger.warning(
                "otel-tts: of the resource, %s does not leave; name it in OTEL_TTS_ALLOW_ATTRIBUTES to let it",
                ", ".join(withheld),
            )
        return "on(canary ok)"

    def _record(self, pipeline: Pipeline, settings: Settings) -> str:
        from otel_tts.emit import recorder

        made = recorder.Recorder(*pipeline.all, settings)
        recorder.install(made)
        made.gpu.allow_polling()
        mode = made.clock.mode if made.clock is not None else "host"
        return f"{mode}({made.clock_note})" if made.clock_note else mode

    def _watch_for_losses(self, pipeline: Pipeline) -> None:
        contain("losses", losses.watch, pipeline)

    def _prepare_for_the_end(self, pipeline: Pipeline, settings: Settings) -> None:
        shutdown.install(pipeline, settings.shutdown_timeout)
        fork.install(pipeline)

    def _instrument_the_edges(self, pipeline: Pipeline) -> None:
        if (add := getattr(pipeline.traces, "add_span_processor", None)) is not None:
            add(asgi.RequestSpans())
        asgi.instrument(before_end=shutdown.flush)
        log_lines.instrument()
        loguru.instrument()

    def _tell(self, pipeline: Pipeline, settings: Settings, gate: str, clock: str) -> None:
        _logger.info("%s", start_line.describe(pipeline, settings, os.environ, gate, clock))
        for warning in start_line.warnings(pipeline, settings, os.environ):
            _logger.warning("otel-tts: %s", warning)


def explain(error: Exception) -> str:
    """Say in words what to do about a failed set-up."""
    if isinstance(error.__cause__, ImportError) and "OTEL_CONFIG_FILE" in str(error):
        return (
            "OTEL_CONFIG_FILE is set, but the package that reads it is not installed; "
            "pip install 'otel-tts[config]' or unset it"
        )
    return f"{type(error).__name__}: {error}"


def forget() -> None:
    """Undo what `configure` set up outside of OpenTelemetry's own globals (tests)."""
    global _pipeline
    _pipeline = None
    shutdown.uninstall()
    fork.uninstall()
    losses.forget()
    asgi.uninstrument()
    log_lines.uninstrument()
    loguru.uninstrument()
    console_warnings.uninstall()


def _silence(pipeline: Pipeline) -> None:
    """Without a gate nothing may leave: end the providers made here."""
    for signal in SIGNALS:
        if signal not in pipeline.joined:
            contain("silence", getattr(pipeline.provider(signal), "shutdown", lambda: None))


def is_configured() -> bool:
    """Say whether this process's telemetry has been set up."""
    return _pipeline is not None
