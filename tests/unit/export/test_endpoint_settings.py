# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OTEL_EXPORTER_OTLP_* of a signal; what cannot be used is refused, by name and without its value."""

from __future__ import annotations

import pytest

from otel_tts.export import endpoint_settings
from otel_tts.export.endpoint_settings import Target

OTLP = "OTEL_EXPORTER_OTLP_"


def read(signal: str = "traces", **variables: str) -> Target:
    return endpoint_settings.read(signal, {f"{OTLP}{name}": value for name, value in variables.items()})


def test_defaults() -> None:
    target = read()
    assert target.url == target.place == "http://localhost:4318/v1/traces"
    assert (target.timeout, target.compression, target.certificate) == (10.0, "none", None)
    assert set(target.headers) == {"user-agent", "content-type"}


def test_the_signals_own_wins() -> None:
    general = {"ENDPOINT": "http://all:1/base/", "TIMEOUT": "3", "COMPRESSION": "gzip", "HEADERS": "a=1"}
    own = {"LOGS_ENDPOINT": "https://logs/", "LOGS_TIMEOUT": "4", "LOGS_COMPRESSION": "none", "LOGS_HEADERS": "b=2"}
    logs, traces = read("logs", **general, **own), read("traces", **general, **own)
    assert (logs.url, logs.timeout, logs.compression) == ("https://logs/", 4.0, "none")
    assert (traces.url, traces.timeout, traces.compression) == ("http://all:1/base/v1/traces", 3.0, "gzip")
    assert logs.headers["b"] == b"2" and "a" not in logs.headers
    assert read("logs", **general, LOGS_ENDPOINT=" ").url == "http://all:1/base/v1/logs"


@pytest.mark.parametrize(
    "url",
    ["localhost:4318", "ftp://h", "http://", "http://secret:99999", "http://h:0", "http://h:x", "http://a b",
     "http://[::1", "//host", "http://h/\r\nx: y", "unix:/run/otlp", "http://bücher"],
)  # fmt: skip
def test_an_endpoint_that_is_none_is_refused(url: str) -> None:
    for name in ("ENDPOINT", "TRACES_ENDPOINT"):
        with pytest.raises(ValueError, match=f"^{OTLP}{name} is no URL") as refused:
            read(**{name: url})
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "header",
    ["key=secret%0d%0aX: y", "key=secret%0a", "key=a\nsecret", "key=secret%00", "key=secret%7f"],
)  # fmt: skip
def test_a_header_that_cannot_be_sent_is_refused_and_its_value_not_told(header: str) -> None:
    for name in ("HEADERS", "TRACES_HEADERS"):
        with pytest.raises(ValueError, match=f"^{OTLP}{name} holds a header") as refused:
            read(**{name: header})
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize("header", ["k y=secret", "secret", "=secret", "kéy=secret", "key%0a=secret"])
def test_what_is_no_header_is_left_out_and_not_told(header: str, caplog: pytest.LogCaptureFixture) -> None:
    assert set(read(HEADERS=f"a=1,{header},b=2").headers) == {"user-agent", "content-type", "a", "b"}
    assert f"{OTLP}HEADERS holds what is no header" in caplog.text and "secret" not in caplog.text


def test_headers_that_would_break_the_request_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    target = read(HEADERS="Content-Length=5,transfer-encoding=chunked,host=other, key = a b ,empty=")
    assert set(target.headers) == {"user-agent", "content-type", "host", "key", "empty"}
    assert target.headers["key"] == b"a b"
    assert "content-length" in caplog.text and "transfer-encoding" in caplog.text


@pytest.mark.parametrize("given", ["soon", "0", "-1", "nan"])
def test_a_timeout_that_is_none_is_the_default(given: str, caplog: pytest.LogCaptureFixture) -> None:
    assert read(TIMEOUT=given).timeout == 10.0
    assert f"{OTLP}TIMEOUT is no number" in caplog.text


def test_absurd_timeouts_and_compressions(caplog: pytest.LogCaptureFixture) -> None:
    assert read(TIMEOUT="inf").timeout == 86_400
    assert read(COMPRESSION="zstd").compression == "none" and "COMPRESSION" in caplog.text


def test_a_certificate_that_is_not_there_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert read(CERTIFICATE="/not/there.pem").certificate == "/not/there.pem"
    assert f"{OTLP}CERTIFICATE=/not/there.pem cannot be read" in caplog.text


def test_what_is_secret_is_not_shown() -> None:
    target = read(ENDPOINT="https://user:pass@host:1/x?token=1", HEADERS="key=secret")
    assert target.place == "https://host:1/x"
    for hidden in ("pass", "secret", "token"):
        assert hidden not in repr(target)
    assert read(ENDPOINT="http://[::1]:4318").place == "http://[::1]:4318/v1/traces"
