# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What of the caller's environment reaches the service, and where telemetry is sent."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from otel_tts.demo import destination, environment
from otel_tts.trouble import Trouble

CALLER = {
    "PATH": "/bin",
    "OTEL_TTS_CLOCK": "host",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret",
    "OTEL_SDK_DISABLED": "true",
    "OTEL_TRACES_SAMPLER": "always_off",
    "OTEL_CONFIG_FILE": "mine.yaml",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://elsewhere",
    "OTEL_SERVICE_NAME": "mine",
}


def test_to_files(tmp_path: Path) -> None:
    assert environment.to_files(CALLER, tmp_path) == {
        "PATH": "/bin",
        "OTEL_TTS_CLOCK": "host",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret",
        "OTEL_SERVICE_NAME": "otel-tts-demo",
        "OTEL_TRACES_EXPORTER": "otel_tts_file",
        "OTEL_METRICS_EXPORTER": "otel_tts_file",
        "OTEL_LOGS_EXPORTER": "otel_tts_file",
        "OTEL_TTS_FILE_DIR": str(tmp_path),
    }


def test_to_an_endpoint() -> None:
    of_service = environment.to_endpoint(CALLER, "http://collector:4318")

    assert of_service["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
    assert of_service["OTEL_TRACES_EXPORTER"] == of_service["OTEL_LOGS_EXPORTER"] == "otlp"
    assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" not in of_service
    assert "OTEL_SDK_DISABLED" not in of_service
    assert "OTEL_EXPORTER_OTLP_PROTOCOL" not in of_service, "the port says which"


@pytest.mark.parametrize("url", ["collector:4318", "grpc://127.0.0.1:4317", "http://", "http://a:4318/v1/traces"])
def test_what_is_no_base_url(url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        destination.check(url)


def test_an_endpoint_where_nobody_answers() -> None:
    with socket.socket() as bound:  # bound, but nobody listens
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(Trouble, match=rf"would not arrive: .*{url}: .*refused.*\n.*otel-tts stack up"):
            destination.check(url)


def test_a_request_can_be_found() -> None:
    lines = "\n".join(destination.ways_to_find("demo-1"))

    assert '{ span.request_id = "demo-1" }' in lines
    assert "127.0.0.1:16686/trace/demo-1" in lines and "otel-tts stack status" in lines, "it may have other ports"
    assert "tags=%7B%22request_id%22%3A%22demo-1%22%7D" in lines
    assert "query=request_id%3A%3D%22demo-1%22" in lines
    assert '{service_name="otel-tts-demo"} | request_id = "demo-1"' in lines
    assert "query_exemplars -d query=tts_request_duration_seconds_bucket -d start=$(" in lines
    assert "&" not in re.sub("'[^']*'", "", lines)  # which a shell would take for itself
