# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from otel_tts.distro import defaults


def test_what_was_lent_is_taken_back_and_what_was_set_stays() -> None:
    environ = {"OTEL_LOGS_EXPORTER": "console", "PATH": "/bin"}
    defaults.lend(environ)
    assert environ["OTEL_TRACES_EXPORTER"] == "otlp"
    assert environ["OTEL_LOGS_EXPORTER"] == "console"
    defaults.take_back(environ)
    assert environ == {"OTEL_LOGS_EXPORTER": "console", "PATH": "/bin", **defaults.STAYING}


def test_what_was_changed_meanwhile_is_the_users() -> None:
    environ: dict[str, str] = {}
    defaults.lend(environ)
    environ["OTEL_TRACES_EXPORTER"] = "none"
    defaults.take_back(environ)
    assert environ == {"OTEL_TRACES_EXPORTER": "none", **defaults.STAYING}


def test_a_value_that_was_set_to_our_default_by_the_user_stays() -> None:
    environ = {"OTEL_TRACES_EXPORTER": "otlp"}
    defaults.lend(environ)
    defaults.take_back(environ)
    assert environ["OTEL_TRACES_EXPORTER"] == "otlp"


@pytest.mark.parametrize(
    ("endpoint", "protocol"),
    [
        (None, "http/protobuf"),
        ("http://collector:4318", "http/protobuf"),
        ("https://example.org/otlp", "http/protobuf"),
        ("http://collector:4317", "grpc"),
        ("http://collector:nonsense", "http/protobuf"),
    ],
)
def test_the_protocol_fits_the_port(endpoint: str | None, protocol: str) -> None:
    environ = {} if endpoint is None else {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    defaults.lend(environ)
    assert environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == protocol
    defaults.take_back(environ)


@pytest.mark.parametrize(("queue", "batch"), [("1000", "512"), ("100", "100")])
def test_larger_batches_are_lent_only_where_the_queue_is_ours(queue: str, batch: str) -> None:
    """The SDK refuses a batch that is larger than its queue."""
    environ: dict[str, str] = {"OTEL_BSP_MAX_QUEUE_SIZE": queue}
    defaults.lend(environ)
    try:
        assert environ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"] == batch
        assert environ["OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"] == "2048"
    finally:
        defaults.take_back(environ)
    assert environ == {"OTEL_BSP_MAX_QUEUE_SIZE": queue, "FASTAPI_OTEL_AUTO_CONFIGURE": "false"}
