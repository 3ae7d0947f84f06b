# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The launcher's work in one call, for programs that are not started by the launcher."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry.util._importlib_metadata import entry_points  # pyright: ignore[reportUnknownVariableType]

from otel_tts.distro import configurator
from otel_tts.distro.distro import Distro
from otel_tts.guard import contain
from otel_tts.otel_private.pipeline import SIGNALS, already_set, global_pipeline
from otel_tts.otel_private.providers import resource_of
from otel_tts.settings import SETTINGS

_logger = logging.getLogger("otel_tts")

_INSTRUMENTATIONS: Final = ("logging", "system_metrics", "fastapi", "otel_tts")
_VARIABLES: Final = {setting.field: setting.variable for setting in SETTINGS}


def configure(*, service_name: str | None = None, endpoint: str | None = None, **settings: Any) -> None:
    """Set telemetry up and hook the engines, as ``opentelemetry-instrument`` would. A second call does nothing.

    Arguments win over environment variables: `service_name` over OTEL_SERVICE_NAME, `endpoint` (the collector's URL,
    without ``/v1/traces``) over OTEL_EXPORTER_OTLP_ENDPOINT, and `settings` over OTEL_TTS_* (``clock="host"`` for
    OTEL_TTS_CLOCK). Providers that the program has set before are used, not replaced, and keep their service.name: the
    log says so where `service_name` is another one. Call it before the engine is imported where that is possible;
    engines imported already are hooked too.

    Raises TypeError for a setting that does not exist. Nothing else: what fails is logged, and the program goes on.
    """
    variables = _to_variables(service_name, endpoint, settings)
    there_before: frozenset[str] = contain("configure", already_set) or frozenset()
    with as_environment(variables):
        if not configurator.is_configured():
            contain("configure", _set_up)
    if service_name is not None and configurator.is_configured():
        contain("configure", _say_names_that_stay, service_name, there_before)


def _set_up() -> None:
    distro = Distro()
    distro.configure()
    configurator.Configurator().configure()
    disabled = {name.strip() for name in os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")}
    for entry_point in entry_points(group="opentelemetry_instrumentor"):
        if entry_point.name in _INSTRUMENTATIONS and not disabled & {"*", entry_point.name}:
            contain(f"instrument {entry_point.name}", distro.load_instrumentor, entry_point, skip_dep_check=True)


def _say_names_that_stay(asked: str, there_before: Collection[str]) -> None:
    """Say of which signals the provider was `there_before` under another name than the one that is `asked` for."""
    pipeline = global_pipeline()
    names = {s: resource_of(pipeline.provider(s)).get("service.name") for s in SIGNALS if s in there_before}
    if kept := [f"{signal} keep {name or 'their own'}" for signal, name in names.items() if name != asked]:
        _logger.warning(
            "otel-tts: configure(service_name=%r) names no provider that is there already: %s; "
            "set service.name in the resource where that provider is made",
            asked, ", ".join(kept),
        )  # fmt: skip


def _to_variables(service_name: str | None, endpoint: str | None, settings: Mapping[str, Any]) -> dict[str, str]:
    given = {"OTEL_SERVICE_NAME": service_name, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    for name, value in settings.items():
        if name not in _VARIABLES:
            raise TypeError(f"configure() has no setting {name!r}; there are {', '.join(sorted(_VARIABLES))}")
        given[_VARIABLES[name]] = None if value is None else _to_text(value)
    return {name: value for name, value in given.items() if value is not None}


def _to_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else ",".join(map(str, value)) if _is_list(value) else str(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, set, frozenset))


@contextmanager
def as_environment(variables: Mapping[str, str]) -> Generator[None]:
    """Set `variables` while the set-up reads them, and put back what was there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
