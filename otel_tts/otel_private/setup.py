# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The private parts of OpenTelemetry's own set-up that this package relies on, and nothing else in it touches.

tests/unit/otel_private/test_setup.py pins what each does upstream.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import opentelemetry.sdk._configuration as sdk
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.util._importlib_metadata import entry_points  # pyright: ignore[reportUnknownVariableType]

from otel_tts.commands import installing
from otel_tts.otel_private.ids import unseeded
from otel_tts.otel_private.pipeline import SIGNALS

Configurator = sdk._OTelSDKConfigurator  # its docstring asks distributions to subclass it
Attempt = Callable[[str, Callable[[], Any]], Any]
"""Calls something that a variable names; None where it raised, which has been said then."""

OURS: Final = "otel_tts_otlp"
_PULL: Final = {"prometheus": "otel_tts_pull"}
"""Ours is the SDK's, with a page for each worker; where the SDK's is not installed neither is there."""
_OTLP: Final = "otlp"
_SDKS_OVER_HTTP: Final = "otlp_proto_http"
_SDKS_OVER_GRPC: Final = "otlp_proto_grpc"
_THE_SDKS: Final = frozenset({_SDKS_OVER_HTTP, _SDKS_OVER_GRPC})
_CREDENTIALS: Final = re.compile(r"OTEL_PYTHON_EXPORTER_OTLP_HTTP_(\w+_)?CREDENTIAL_PROVIDER")
_logger = logging.getLogger("otel_tts")


class NotInstalled(RuntimeError):
    """What is asked for comes with an extra that is not installed, and nothing can stand in for it."""


def load_exporter(signal: str, name: str) -> type[Any]:
    """Return the exporter that OTEL_*_EXPORTER calls `name`. Raises where none is.

    ``otlp`` goes by its protocol. Over HTTP it is ours, but where the user asks for something that only the SDK's does.
    """
    found_by = _PULL.get(name) or _asked_for(name, signal)
    if found_by in _THE_SDKS and not _is_installed(signal, found_by):
        found_by = _stand_in(signal, found_by)
    wanted: list[Any] = [[found_by] if s == signal else [] for s in SIGNALS]
    (found,) = (kind for kinds in sdk._import_exporters(*wanted) for kind in kinds.values())
    return found


def is_the_sdks(signal: str, name: str) -> bool:
    """Whether `load_exporter` gives an OTLP exporter of the SDK's. False for what it has none for."""
    try:
        found_by = _asked_for(name, signal)
    except RuntimeError:
        return False
    return found_by in _THE_SDKS and _is_installed(signal, found_by)


def _asked_for(name: str, signal: Any) -> str:
    found_by = sdk._get_exporter_entry_point(name, signal)
    if name == _OTLP and found_by == _SDKS_OVER_HTTP and not _asks_for_the_sdks(os.environ):
        return OURS
    return found_by


def _is_installed(signal: str, entry_point: str) -> bool:
    return bool(entry_points(group=f"opentelemetry_{signal}_exporter", name=entry_point))


def _stand_in(signal: str, missing: str) -> str:
    """Return what sends in the place of an exporter of the SDK's. Raises NotInstalled where ours cannot."""
    if missing == _SDKS_OVER_GRPC:
        raise NotInstalled(
            f"gRPC is spoken by OpenTelemetry's own exporter, which is not installed; {installing('otlp')}, or name an "
            f"OTLP receiver over HTTP (port 4318, OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf). Until then no {signal} "
            "leave this way"
        )
    if name := _credentials(os.environ):
        raise NotInstalled(
            f"{name} is for OpenTelemetry's own exporter, which is not installed; {installing('otlp')}. Until then no "
            f"{signal} leave this way"
        )
    _logger.warning(
        "otel-tts: %s: OpenTelemetry's own exporter over HTTP is asked for and not installed; %s. Until then ours "
        "sends the same",
        signal, installing("otlp"),
    )  # fmt: skip
    return OURS


def _asks_for_the_sdks(environ: Mapping[str, str]) -> bool:
    """Whether sessions of requests are to log in, or exporters to measure themselves."""
    if environ.get("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "").strip().lower() == "true":
        return True
    return _credentials(environ) is not None


def _credentials(environ: Mapping[str, str]) -> str | None:
    """Return the variable that names a credential provider."""
    return next((name for name, value in environ.items() if value and _CREDENTIALS.fullmatch(name)), None)


def make_tracer_provider(resource: Resource, attempt: Attempt) -> TracerProvider:
    """Return one without processors. `attempt` calls what may fail, for which there is a default."""
    return TracerProvider(
        sampler=sdk._import_sampler(sdk._get_sampler()),
        id_generator=unseeded(
            attempt("OTEL_PYTHON_ID_GENERATOR", lambda: sdk._import_id_generator(sdk._get_id_generator()))
        ),
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


def settle_http_conventions() -> None:
    """Read OTEL_SEMCONV_STABILITY_OPT_IN now: it is read once, at the first app, and may be taken back by then."""
    from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability

    _OpenTelemetrySemanticConventionStability._initialize()
