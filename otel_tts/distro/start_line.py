# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One line at the start that says what is on and where it goes: the first thing to look at when nothing arrives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from otel_tts import settings as table
from otel_tts.distro import without_server
from otel_tts.otel_private import providers, setup
from otel_tts.otel_private.pipeline import SIGNALS, Pipeline
from otel_tts.settings import MASK, Settings
from otel_tts.version import __version__

UNKNOWN_SERVICE: Final = "unknown_service"
_LONGEST_LIKELY_TIMEOUT_S: Final = 300.0
_DEFAULT_ENDPOINTS: Final = {"grpc": "http://localhost:4317", "http/protobuf": "http://localhost:4318"}
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]+@")


def describe(pipeline: Pipeline, settings: Settings, environ: Mapping[str, str], gate: str, clock: str) -> str:
    """Return the start line. Headers and credentials are masked."""
    parts = [
        f"otel-tts {__version__}:",
        f"service.name={service_name(pipeline)}",
        *_targets(environ, pipeline),
        *_headers(environ),
        f"clock={clock}",
        f"gate={gate}",
        table.describe(settings),
    ]
    return " ".join(part for part in parts if part)


def service_name(pipeline: Pipeline) -> str:
    """Return the service's name as the exporters will send it."""
    names = (providers.resource_of(provider).get("service.name") for provider in pipeline.all)
    return str(next(filter(None, names), UNKNOWN_SERVICE))


def warnings(pipeline: Pipeline, settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what the operator should know: what happened, why, what to do."""
    if any(map(providers.resource_of, pipeline.all)) and service_name(pipeline).startswith(UNKNOWN_SERVICE):
        yield "service.name is not set, so this service cannot be told from others; set OTEL_SERVICE_NAME"
    for name in sorted(environ):
        if name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith("TIMEOUT") and _is_too_long(environ[name]):
            yield (
                f"{name}={environ[name]} means {environ[name]} seconds in Python, not milliseconds: a collector that "
                "hangs would be waited for that long; set it in seconds, as in 10"
            )
    if settings.file_dir and "OTEL_CONFIG_FILE" in environ:
        yield "OTEL_TTS_FILE_DIR does nothing beside OTEL_CONFIG_FILE, which names the exporters"
    if settings.keep < 1 and "traces" in pipeline.joined:
        yield "OTEL_TTS_KEEP does nothing where the application has set its own tracer provider"
    for signal in pipeline.foreign():
        yield (
            f"the global provider for {signal} is not OpenTelemetry's SDK: the privacy gate cannot stand before what "
            "it exports"
        )
    yield from settings.problems


def _targets(environ: Mapping[str, str], pipeline: Pipeline) -> list[str]:
    if file := environ.get("OTEL_CONFIG_FILE"):
        return [f"config={file}"]
    targets = {
        s: "joined" if s in pipeline.joined else _target(environ, s, pipeline.left_out.get(s, ())) for s in SIGNALS
    }
    if len(set(targets.values())) == 1:
        return [f"exporter={targets['traces']}"]
    return [f"{signal}={target}" for signal, target in targets.items()]


def _target(environ: Mapping[str, str], signal: str, left_out: Sequence[str]) -> str:
    wanted = without_server.named(environ, signal)
    return " + ".join(_place(environ, signal, name) for name in wanted if name not in left_out) or "none"


def _place(environ: Mapping[str, str], signal: str, exporter: str) -> str:
    if exporter == without_server.FILE:
        from otel_tts.export import shared_folder

        return f"{exporter} {shared_folder.locate(environ.get('OTEL_TTS_FILE_DIR', '').strip())}"
    if exporter == "prometheus":
        return f"prometheus {_page(environ)}"
    if not exporter.startswith(("otlp", setup.OURS)):
        return exporter
    is_ours = exporter.startswith(setup.OURS)  # over HTTP, whatever the variable says
    protocol = "http/protobuf" if is_ours else _otlp(environ, signal, "PROTOCOL") or "grpc"
    endpoint = _otlp(environ, signal, "ENDPOINT") or _DEFAULT_ENDPOINTS.get(protocol, "?")
    return f"{exporter} {protocol} {_CREDENTIALS.sub(MASK + '@', endpoint)}"


def _page(environ: Mapping[str, str]) -> str:
    if folder := environ.get("OTEL_TTS_SCRAPE_DIR", "").strip():
        return f"by {folder}"
    host = environ.get("OTEL_EXPORTER_PROMETHEUS_HOST", "").strip() or "127.0.0.1"
    return f"http://{host}:{environ.get('OTEL_EXPORTER_PROMETHEUS_PORT', '').strip() or 9464}/metrics"


def _otlp(environ: Mapping[str, str], signal: str, what: str) -> str:
    return environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}") or environ.get(f"OTEL_EXPORTER_OTLP_{what}", "")


def _headers(environ: Mapping[str, str]) -> list[str]:
    given = ",".join(v for k, v in environ.items() if k.startswith("OTEL_EXPORTER_OTLP_") and k.endswith("HEADERS"))
    keys = sorted({pair.partition("=")[0].strip() for pair in given.split(",") if "=" in pair})
    return ["headers=" + ",".join(f"{key}={MASK}" for key in keys)] if keys else []


def _is_too_long(seconds: str) -> bool:
    try:
        return float(seconds) > _LONGEST_LIKELY_TIMEOUT_S
    except ValueError:
        return False
