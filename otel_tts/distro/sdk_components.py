# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The private parts of OpenTelemetry's own set-up that this package relies on, and nothing else in it touches.

tests/unit/distro/test_sdk_components.py pins what each does upstream.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import opentelemetry.sdk._configuration as sdk
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_tts.commands import installing
from otel_tts.distro import outages
from otel_tts.distro.outages import Place
from otel_tts.distro.pipeline import SIGNALS, Pipeline

Configurator = sdk._OTelSDKConfigurator  # its docstring asks distributions to subclass it
Attempt = Callable[[str, Callable[[], Any]], Any]
"""Calls something that a variable names; None where it raised, which has been said then."""


def load_exporter(signal: str, name: str) -> type[Any]:
    """Return the exporter that OTEL_*_EXPORTER calls `name`; ``otlp`` goes by its protocol. Raises where none is."""
    wanted: list[Any] = [[_entry_point(name, s)] if s == signal else [] for s in SIGNALS]
    (found,) = (kind for kinds in sdk._import_exporters(*wanted) for kind in kinds.values())
    return found


def _entry_point(name: str, signal: Any) -> str:
    return sdk._get_exporter_entry_point(name, signal)


def make_tracer_provider(resource: Resource, attempt: Attempt) -> TracerProvider:
    """Return one without processors. `attempt` calls what may fail, for which there is a default."""
    return TracerProvider(
        sampler=sdk._import_sampler(sdk._get_sampler()),
        id_generator=attempt("OTEL_PYTHON_ID_GENERATOR", lambda: sdk._import_id_generator(sdk._get_id_generator())),
        resource=resource,
        _tracer_configurator=sdk._import_tracer_configurator(sdk._get_tracer_configurator()),
    )


def make_meter_provider(readers: Sequence[Any], resource: Resource) -> MeterProvider:
    """Return one with these readers: none can be added later."""
    configurator = sdk._import_meter_configurator(sdk._get_meter_configurator())
    return MeterProvider(readers, resource, _meter_configurator=configurator)


def make_logger_provider(resource: Resource) -> LoggerProvider:
    """Return one without processors."""
    configurator = sdk._import_logger_configurator(sdk._get_logger_configurator())
    return LoggerProvider(resource, _logger_configurator=configurator)


def add_the_sdks_log_handler(provider: LoggerProvider) -> None:
    """Do what OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED asks for: deprecated, yet the user's own wish."""
    if os.environ.get("OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED", "").strip().lower() == "true":
        from opentelemetry.sdk._logs import LoggingHandler

        handler = LoggingHandler(level=logging.NOTSET, logger_provider=provider)
        logging.getLogger().addHandler(handler)
        sdk._overwrite_logging_config_fns(handler)


def tell_remote_control(moment: Literal["pre", "post"], resource: Resource) -> None:
    """Call an OpAMP agent, where one is installed."""
    name: Any = f"{moment}_sdk_init_function"
    if (begin := sdk._import_opamp(name)) is not None:
        begin(resource)


class ConfigurationFile:
    """A declarative configuration (OTEL_CONFIG_FILE), taken signal by signal."""

    def __init__(self, path: str) -> None:
        """Read it. Raises RuntimeError where the package for it is missing, and what the reader raises."""
        try:
            from opentelemetry.configuration import load_config_file
            from opentelemetry.configuration._resource import create_resource
        except ImportError as error:
            raise RuntimeError(
                f"the package that reads it is not installed; {installing('config')}, or unset it"
            ) from error
        self._config = load_config_file(path)
        self.disabled = bool(self._config.disabled)
        self._resource = None if self.disabled else create_resource(self._config.resource)

    def make_provider(self, signal: str) -> Any:
        """Return the provider of `signal`, or None where the file has none."""
        from opentelemetry.configuration import _logger_provider, _meter_provider, _tracer_provider

        config, limits = self._config, self._config.attribute_limits
        if signal == "traces" and config.tracer_provider is not None:
            return _tracer_provider.create_tracer_provider(config.tracer_provider, self._resource, limits)
        if signal == "metrics" and config.meter_provider is not None:
            return _meter_provider.create_meter_provider(config.meter_provider, self._resource)
        if signal == "logs" and config.logger_provider is not None:
            return _logger_provider.create_logger_provider(config.logger_provider, self._resource, limits)
        return None

    def apply_the_rest(self) -> None:
        """Set propagator, log level and instrumentations."""
        from opentelemetry.configuration import configure_sdk

        without = {"tracer_provider": None, "meter_provider": None, "logger_provider": None, "resource": None}
        configure_sdk(dataclasses.replace(self._config, **without))


def add_to_resource(pipeline: Pipeline, attributes: Mapping[str, Any]) -> None:
    """Add `attributes` to the resource of the providers made here: a configuration file knows nothing of detectors."""
    for signal in SIGNALS:
        if signal not in pipeline.joined:
            update_resource(pipeline.provider(signal), attributes)


def update_resource(provider: Any, attributes: Mapping[str, Any]) -> None:
    """Add `attributes` to a provider's resource, by what the SDK itself calls after a fork."""
    if (update := getattr(provider, "_update_resource", None)) is not None:
        update(Resource(dict(attributes)))


def resource_of(provider: Any) -> Mapping[str, Any]:
    """Return the attributes of a provider's resource, or nothing where it has none."""
    resource = getattr(provider, "resource", None) or getattr(provider, "_resource", None)
    if resource is None:
        resource = getattr(getattr(provider, "_sdk_config", None), "resource", None)
    return getattr(resource, "attributes", {})


def settle_http_conventions() -> None:
    """Read OTEL_SEMCONV_STABILITY_OPT_IN now: it is read once, at the first app, and may be taken back by then."""
    from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability

    _OpenTelemetrySemanticConventionStability._initialize()


def waiting_in(processor: Any) -> int:
    """Return how many items wait in a batch processor's queue; 0 for others."""
    return len(getattr(getattr(processor, "_batch_processor", None), "_queue", ()))


def count_drops(processor: Any, note: Callable[[int], None]) -> bool:
    """Let `note` hear how many items a batch processor drops because its queue is full. False where that is impossible.

    The SDK counts them itself only with OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED, which also makes every span count
    its own start and end.
    """
    inner: Any = getattr(processor, "_batch_processor", None)
    counts = getattr(inner, "_metrics", None)
    if counts is None or isinstance(counts, _Drops):
        return counts is not None
    inner._metrics = _Drops(counts, note)
    return True


@dataclass(frozen=True)
class Said:
    """What came back from an address: an HTTP status with what belongs to it, or an error (gRPC: its code)."""

    protocol: str
    address: str
    status: int = 0
    reason: str = ""
    content_type: str = ""
    location: str = ""
    error: str = ""
    error_type: str = ""


def speak(exporter: Any, seconds: float = 3.0) -> Said | None:
    """Send an empty request as an OTLP exporter sends one. None for exporters of another kind."""
    client = getattr(exporter, "_client", None)
    if (transport := getattr(client, "_transport", None)) is not None:
        return _speak_http(exporter._endpoint, client, transport, seconds)
    if callable(getattr(client, "Export", None)):
        return _speak_grpc(exporter, client, seconds)
    return None


def _speak_http(address: str, client: Any, transport: Any, seconds: float) -> Said:
    data = client._compress(b"")  # no bytes are an empty request
    result = transport.request("POST", address, headers=client._headers, data=data, timeout=seconds)
    if result.error is not None:
        return Said("http/protobuf", address, error=repr(result.error), error_type=type(result.error).__name__)
    headers = result.headers()
    content, location = headers.get("content-type", ""), headers.get("location", "")
    return Said("http/protobuf", address, result.status_code, result.reason or "", content, location)


def _speak_grpc(exporter: Any, client: Any, seconds: float) -> Said:
    import grpc

    nothing: Any = MetricsData(resource_metrics=[]) if MetricExporter in type(exporter).__mro__ else []
    try:
        client.Export(request=exporter._translate_data(nothing), metadata=exporter._headers, timeout=seconds)
    except grpc.RpcError as error:
        code: Any = getattr(error, "code", lambda: None)()
        details: Any = getattr(error, "details", lambda: "")()
        return Said(
            "grpc", exporter._endpoint, error=details or str(error), error_type=getattr(code, "name", "UNKNOWN")
        )
    return Said("grpc", exporter._endpoint)


def place_of(exporter: Any) -> Place:
    """Return where an exporter sends to."""
    if (folder := folder_of(exporter)) is not None:
        return outages.directory(str(folder.path))
    endpoint = getattr(exporter, "_endpoint", None)
    if not isinstance(endpoint, str):
        return outages.server(type(exporter).__name__)
    parts = urlsplit(endpoint)  # over HTTP the signal's own path, which is no news
    return outages.server(f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else endpoint)


def hear_failures(exporter: Any, hear: Callable[[str], None]) -> bool:
    """Let `hear` be told why an OTLP/HTTP exporter fails, which it does not always say. False where that is impossible.

    Others say it in their log records.
    """
    client: Any = getattr(exporter, "_client", None)
    export = getattr(client, "export", None)
    if not callable(export):
        return False

    def hearing(data: bytes) -> Any:
        result: Any = export(data)
        if result.success and 300 <= (result.status_code or 0) < 400:  # not followed, so nothing has arrived
            result = dataclasses.replace(result, success=False)
            hear(f"code: {result.status_code}, reason: {result.reason}, a redirect, which is not followed")
        elif not result.success and result.error is not None:
            hear(str(result.error))
        return result

    client.export = hearing
    return True


def folder_of(exporter: Any) -> Any | None:
    """Return the folder that one of our exporters to files writes to; None for others."""
    return getattr(getattr(exporter, "file", None), "folder", None)


def renew_connections(exporter: Any) -> bool:
    """Let an OTLP/HTTP exporter of a forked child open connections of its own. False where it is another exporter.

    The SDK's child goes on with its parent's keep-alive connection: two processes on one TCP stream, each reading the
    other's answers.
    """
    client = getattr(exporter, "_client", None)
    session = getattr(getattr(client, "_transport", None), "_session", None)
    adapters = getattr(session, "adapters", None)
    if session is None or adapters is None:
        return False
    for prefix, adapter in list(adapters.items()):
        if type(adapter).__module__ == "requests.adapters":  # a user's own subclass may not survive the copy
            _parents.append(adapter)
            session.mount(prefix, copy.copy(adapter))  # copies the settings, not the pool
    return True


_parents: list[Any] = []
"""Kept from the collector: closing the parent's pool takes a lock that some thread of the parent may have held."""


class _Drops:
    """Stands in for a batch processor's metrics and passes everything on."""

    def __init__(self, counts: Any, note: Callable[[int], None]) -> None:
        self._note = note
        self._drop = counts.drop_items
        self.finish_items = counts.finish_items
        self.register_queue_size = counts.register_queue_size

    def drop_items(self, count: int, error_type: str = "queue_full") -> None:
        self._note(count)
        self._drop(count, error_type)
