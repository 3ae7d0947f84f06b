# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Sets this process's telemetry up, from OTEL_* variables or from a configuration file (OTEL_CONFIG_FILE).

Whatever fails here, the application runs; and unless the privacy gate stands, nothing is exported.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

from otel_tts import settings as table
from otel_tts import variables
from otel_tts.device.torch import graphs
from otel_tts.distro import console_warnings, defaults, fork, losses, propagation, shutdown, start_line
from otel_tts.distro.distro import is_helper, is_on
from otel_tts.distro.garbage import not_collected
from otel_tts.distro.gating import Gating
from otel_tts.distro.providers import Providers, exports_by_the_sdks
from otel_tts.guard import contain
from otel_tts.instrumentation.edges import every, serving
from otel_tts.instrumentation.libraries import log_handler, loguru
from otel_tts.instrumentation.libraries import logging as log_lines
from otel_tts.otel_private import setup
from otel_tts.otel_private.pipeline import SIGNALS, Pipeline, already_set, global_pipeline
from otel_tts.settings import Settings

_logger = logging.getLogger("otel_tts")

_pipeline: Pipeline | None = None


class Configurator(setup.Configurator):
    """Entry point ``otel_tts``. A second call does nothing."""

    @not_collected()
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
                with variables.set_aside(os.environ) as problems:
                    for problem in problems:
                        _logger.warning("otel-tts: %s", problem)
                    defaults.lend(os.environ)  # in the place of what was set aside
                    _pipeline = self._start(table.read(), kwargs)
        except Exception as error:
            _logger.warning("otel-tts: telemetry is off: %s: %s", type(error).__name__, error)
            _logger.debug("otel-tts: it failed here", exc_info=True)
        finally:
            contain("propagation", propagation.mend)
            contain("semconv", setup.settle_http_conventions)
            defaults.take_back(os.environ)

    def _start(self, settings: Settings, kwargs: Mapping[str, Any]) -> Pipeline:
        gating = Gating(settings, exports_by_the_sdks())
        pipeline = self._make_providers(gating, kwargs)
        clock = self._record(pipeline, settings)
        self._watch_for_losses(pipeline)
        self._prepare_for_the_end(pipeline, settings)
        self._instrument_the_edges(pipeline, settings)
        gate = "none(the application's own providers)" if pipeline.joined >= set(SIGNALS) else gating.state
        self._tell(pipeline, settings, gate, clock)
        if withheld := gating.withheld():
            _logger.warning(
                "otel-tts: of the resource, %s does not leave; name it in OTEL_TTS_ALLOW_ATTRIBUTES to let it",
                ", ".join(withheld),
            )
        return pipeline

    def _make_providers(self, gating: Gating, kwargs: Mapping[str, Any]) -> Pipeline:
        """Exporters of providers that the application has set before are its own; the others stand behind the gate."""
        joined = already_set()
        made = Providers(gating)
        given = dict(kwargs.get("resource_attributes") or {})
        if version := kwargs.get("auto_instrumentation_version"):
            given["telemetry.auto.version"] = version
        made.make([signal for signal in SIGNALS if signal not in joined], given)
        return global_pipeline(joined, made.left_out)

    def _record(self, pipeline: Pipeline, settings: Settings) -> str:
        from otel_tts.emit import emitter
        from otel_tts.recording.recorder import Recorder

        made = Recorder(pipeline.traces, settings)
        emitting = emitter.Emitter(made, *pipeline.all, may_hold="traces" not in pipeline.joined)
        emitter.install(emitting)
        made.devices.allow_polling()
        made.loops.allow()
        if settings.control:
            from otel_tts.control import start as control

            contain("control", control.start, emitting, settings.control)
        mode = made.clock.mode if made.clock is not None else "host"
        return f"{mode}({made.clock_note})" if made.clock_note else mode

    def _watch_for_losses(self, pipeline: Pipeline) -> None:
        contain("losses", losses.watch, pipeline)

    def _prepare_for_the_end(self, pipeline: Pipeline, settings: Settings) -> None:
        shutdown.install(pipeline, settings.shutdown_timeout)
        fork.install(pipeline)

    def _instrument_the_edges(self, pipeline: Pipeline, settings: Settings) -> None:
        serving.choose(settings)
        if (add := getattr(pipeline.traces, "add_span_processor", None)) is not None:
            add(serving.RequestSpans())
        every.instrument(before_end=shutdown.flush)
        log_lines.instrument()
        loguru.instrument()

    def _tell(self, pipeline: Pipeline, settings: Settings, gate: str, clock: str) -> None:
        _logger.info("%s", start_line.describe(pipeline, settings, os.environ, gate, clock))
        for warning in start_line.warnings(pipeline, settings, os.environ):
            _logger.warning("otel-tts: %s", warning)


def forget() -> None:
    """Undo what `configure` set up outside of OpenTelemetry's own globals (tests)."""
    global _pipeline
    _pipeline = None
    shutdown.uninstall()
    fork.uninstall()
    losses.forget()
    if (control := sys.modules.get("otel_tts.control.start")) is not None:
        control.stop()
    every.uninstrument()
    log_handler.forget()
    log_lines.uninstrument()
    loguru.uninstrument()
    graphs.unwatch_torch()
    console_warnings.uninstall()


def is_configured() -> bool:
    """Say whether this process's telemetry has been set up."""
    return _pipeline is not None
