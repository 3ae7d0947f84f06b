# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_tts import settings
from otel_tts.distro import start_line
from otel_tts.otel_private.pipeline import Pipeline


def pipeline(name: str = "speech", joined: frozenset[str] = frozenset()) -> Pipeline:
    traces = TracerProvider(resource=Resource({"service.name": name}), shutdown_on_exit=False)
    return Pipeline(
        traces, MeterProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False), joined=joined
    )


def line(environ: dict[str, str], **more: object) -> str:
    return start_line.describe(pipeline(**more), settings.read(environ), environ, "on", "host")  # type: ignore[arg-type]


OTLP = {f"OTEL_{signal}_EXPORTER": "otlp" for signal in ("TRACES", "METRICS", "LOGS")}


def test_secrets_are_masked() -> None:
    text = line(
        {
            **OTLP,
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://user:password@collector/otlp",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20token,x-tenant=acme",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key=k-123",
            "OTEL_TTS_HASH_KEY": "hash-secret",
        }
    )
    for secret in ("password", "token", "acme", "k-123", "hash-secret"):
        assert secret not in text
    assert "https://****@collector/otlp" in text
    assert "headers=api-key=****,authorization=****,x-tenant=****" in text
    assert "OTEL_TTS_HASH_KEY=****" in text


def test_where_each_signal_goes() -> None:
    assert "exporter=otlp grpc http://localhost:4317 " in line(OTLP)
    ours = dict.fromkeys(OTLP, "otel_tts_otlp")
    assert "exporter=otel_tts_otlp http/protobuf http://localhost:4318 " in line(ours)
    mixed = line({**OTLP, "OTEL_METRICS_EXPORTER": "prometheus", "OTEL_LOGS_EXPORTER": "none"})
    assert "metrics=prometheus http://127.0.0.1:9464/metrics logs=none" in mixed
    assert "traces=joined" in line(OTLP, joined=frozenset({"traces"}))
    assert "config=/etc/otel.yaml" in line({"OTEL_CONFIG_FILE": "/etc/otel.yaml"})


def test_where_the_files_are(tmp_path: Path) -> None:
    files = {f"OTEL_{signal}_EXPORTER": "otel_tts_file" for signal in ("TRACES", "METRICS", "LOGS")}
    assert f"exporter=otel_tts_file {tmp_path} " in line({**files, "OTEL_TTS_FILE_DIR": str(tmp_path)})
    both = {**files, "OTEL_TRACES_EXPORTER": "otlp,otel_tts_file", "OTEL_TTS_FILE_DIR": str(tmp_path)}
    assert f"traces=otlp grpc http://localhost:4317 + otel_tts_file {tmp_path} metrics=otel_tts_file" in line(both)


def test_files_beside_a_configuration_file_are_told(tmp_path: Path) -> None:
    (beside,) = told({"OTEL_TTS_FILE_DIR": str(tmp_path), "OTEL_CONFIG_FILE": "x.yaml"})
    assert "OTEL_CONFIG_FILE" in beside


def told(environ: dict[str, str], name: str = "speech") -> list[str]:
    return list(start_line.warnings(pipeline(name), settings.read(environ), environ))


def test_nothing_to_say_is_not_said() -> None:
    assert told({**OTLP, "OTEL_EXPORTER_OTLP_TIMEOUT": "10"}) == []


def test_milliseconds_mistaken_for_seconds() -> None:
    (warning,) = told({"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "10000"})
    assert "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=10000" in warning and "seconds" in warning


def test_a_missing_name_and_bad_settings() -> None:
    nameless, bad = told({"OTEL_TTS_CLOCK": "sundial"}, name="unknown_service:python")
    assert "OTEL_SERVICE_NAME" in nameless
    assert "OTEL_TTS_CLOCK" in bad


def test_a_provider_of_somebody_else_cannot_be_gated() -> None:
    foreign = Pipeline(object(), *pipeline().all[1:])
    assert any(
        "traces" in warning and "gate" in warning for warning in start_line.warnings(foreign, settings.read({}), {})
    )
