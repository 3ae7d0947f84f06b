# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Makes this process's providers, signal by signal: each becomes the global one only behind the privacy gate.

The SDK's own way sets one provider after the other, exporting at once, and whatever raises in between (a port that is
taken, a folder that cannot be made) leaves the earlier ones without what was to be put before them. Here what cannot
be made is said and left out, and the rest goes on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.util._importlib_metadata import entry_points  # pyright: ignore[reportUnknownVariableType]

from otel_tts.distro.gating import Gating
from otel_tts.distro.resource import attributes
from otel_tts.distro.without_server import FILE
from otel_tts.guard import contain
from otel_tts.otel_private import providers, setup
from otel_tts.otel_private.pipeline import SIGNALS
from otel_tts.variables import advice

_logger = logging.getLogger("otel_tts")

_SET: Final[dict[str, Callable[[Any], None]]] = {
    "traces": trace.set_tracer_provider,
    "metrics": metrics.set_meter_provider,
    "logs": _logs.set_logger_provider,
}
_EXPORT_BY: Final[dict[str, Callable[[Any], Any]]] = {
    "traces": BatchSpanProcessor,
    "metrics": PeriodicExportingMetricReader,
    "logs": BatchLogRecordProcessor,
}


class Providers:
    """Makes and sets providers behind `gating`; `left_out` keeps, by signal, the exporters that could not be made."""

    def __init__(self, gating: Gating) -> None:
        self._gating = gating
        self.left_out: dict[str, list[str]] = {signal: [] for signal in SIGNALS}

    def make(self, signals: Iterable[str], resource_attributes: Mapping[str, Any]) -> None:
        """Set the providers of `signals`, from OTEL_CONFIG_FILE or else from OTEL_* variables."""
        if path := os.environ.get("OTEL_CONFIG_FILE"):
            self._from_file(path, signals)
        else:
            self._from_variables(signals, resource_attributes)

    def _from_variables(self, signals: Iterable[str], resource_attributes: Mapping[str, Any]) -> None:
        given = dict(resource_attributes)
        resource = attempt(", ".join(SIGNALS), "the resource's detectors", partial(Resource.create, given))
        if resource is None:
            resource = Resource(given).merge(OTELResourceDetector().detect())
        contain("opamp", setup.tell_remote_control, "pre", resource)
        for signal in signals:
            exporters = self._exporters(signal)
            if not self._set_up(signal, "its provider", partial(_provider, signal, exporters, resource)):
                self.left_out[signal] = exporter_names(signal)
                for exporter in exporters:
                    contain("silence", exporter.shutdown)
        contain("opamp", setup.tell_remote_control, "post", resource)

    def _exporters(self, signal: str) -> list[Any]:
        """Return what exports: span or log record processors, metric readers.

        Files are first: the SDK ends one after the other, and a server that is gone takes all the time there is.
        """
        made: list[Any] = []
        for name in sorted(exporter_names(signal), key=lambda name: name != FILE):
            exporter = None
            if self._gating.stands:
                what = f"OTEL_{signal.upper()}_EXPORTER={name}"
                exporter = attempt(signal, what, partial(_make_exporter, signal, name), name)
            if exporter is None:
                self.left_out[signal].append(name)
            else:
                made.append(exporter)
        return made

    def _from_file(self, path: str, signals: Iterable[str]) -> None:
        what = f"OTEL_CONFIG_FILE={path}"
        file = attempt(", ".join(SIGNALS), what, partial(setup.ConfigurationFile, path))
        if file is None or file.disabled:
            return
        if self._gating.stands:  # what a file asks for is made as a whole
            for signal in signals:
                self._set_up(signal, what, partial(file.make_provider, signal))
        attempt("propagator and instrumentations", what, file.apply_the_rest)

    def _set_up(self, signal: str, what: str, make_it: Callable[[], Any]) -> bool:
        """Make a provider, complete its resource, close the gate, and only then set it."""
        if (provider := attempt(signal, what, make_it)) is None:
            return False
        contain("resource", _complete_resource, provider)
        if self._gating.stands and not attempt(signal, "the privacy gate", partial(self._is_closed, signal, provider)):
            contain("silence", provider.shutdown)  # it was never the global one: nothing waits in it
            return False
        _SET[signal](provider)
        return True

    def _is_closed(self, signal: str, provider: Any) -> bool:
        self._gating.close(signal, provider)
        return True


def exporter_names(signal: str) -> list[str]:
    """Return what OTEL_*_EXPORTER asks for."""
    names = map(str.strip, os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").split(","))
    return [name for name in names if name and name.lower() != "none"]


def exports_by_the_sdks() -> bool:
    """Whether an OTLP exporter of the SDK's is asked for; what a configuration file names is the SDK's."""
    asked = ((signal, name) for signal in SIGNALS for name in exporter_names(signal))
    return "OTEL_CONFIG_FILE" in os.environ or any(setup.is_the_sdks(*each) for each in asked)


def attempt(signal: str, what: str, call: Callable[[], Any], exporter: str | None = None) -> Any:
    """Call, and return None where that raises: then say of which signal, by which variable, why, and what to do."""
    try:
        return call()
    except Exception as error:
        reason = _not_installed(signal, exporter) or _explain(error, exporter)
        _logger.warning("otel-tts: %s: %s: %s. It is left out, the rest goes on", signal, what, reason)
        _logger.debug("otel-tts: it failed here", exc_info=True)
        return None


def _make_exporter(signal: str, name: str) -> Any:
    exporter = setup.load_exporter(signal, name)()
    return exporter if isinstance(exporter, MetricReader) else _EXPORT_BY[signal](exporter)


def _provider(signal: str, exporters: Sequence[Any], resource: Resource) -> Any:
    if signal == "metrics":
        return setup.make_meter_provider(exporters, resource)
    if signal == "logs":
        loggers = setup.make_logger_provider(resource)
        for exporter in exporters:
            loggers.add_log_record_processor(exporter)
        setup.add_the_sdks_log_handler(loggers)
        return loggers
    tracers = setup.make_tracer_provider(resource, partial(attempt, signal))
    for exporter in exporters:
        tracers.add_span_processor(exporter)
    return tracers


def _complete_resource(provider: Any) -> None:
    """Here and not by a detector, since a configuration file or a user's own list would leave that out."""
    known = providers.resource_of(provider)
    providers.update_resource(provider, {k: v for k, v in attributes().items() if k not in known})


def _not_installed(signal: str, exporter: str | None) -> str | None:
    if exporter is None or exporter.startswith("otlp"):
        return None
    known = sorted({entry.name for entry in entry_points(group=f"opentelemetry_{signal}_exporter")})
    return None if exporter in known else f"not installed ({advice(exporter)}); there are {', '.join(known)}"


def _explain(error: Exception, exporter: str | None) -> str:
    if isinstance(error, setup.NotInstalled):
        return str(error)
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, ImportError) and exporter is not None:
        return f"{text} ({advice(exporter)})"
    if isinstance(error, OSError) and exporter == "prometheus":
        port = os.environ.get("OTEL_EXPORTER_PROMETHEUS_PORT", "9464")
        return (
            f"{text}, port {port} (OTEL_EXPORTER_PROMETHEUS_PORT); of several processes each needs one of its own, "
            "or otlp"
        )
    return text
