# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One line at the first failure, one a minute, one when it goes on; exporters' own words are reasons, not records."""

from __future__ import annotations

import logging

import pytest

from otel_tts.distro import losses, outages
from otel_tts.distro.losses import Counted, Losses, Watched
from otel_tts.distro.outages import Attempt, NotExported, Outages, attempting, explain

SERVER = outages.server("http://collector:4318")
FOLDER = outages.directory("/var/telemetry")


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def watched(time: Time) -> Outages:
    return Outages(time)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return said


def test_one_line_a_minute_while_it_lasts_and_one_when_it_is_over(
    watched: Outages, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    watched.fails(SERVER, "spans", "Connection refused", 7)
    (first,) = lines(caplog)
    assert first.startswith("otel-tts: spans do not arrive at http://collector:4318 (Connection refused). Is the coll")
    assert "otel-tts doctor" in first and "OTEL_TTS_FILE_DIR" in first

    for _ in range(59):
        time.now += 1
        watched.fails(SERVER, "spans", "Connection refused", 1)
        watched.fails(SERVER, "log records", "", 2)
    assert lines(caplog) == []

    time.now += 1
    watched.fails(SERVER, "metrics", "")
    assert lines(caplog) == [
        "otel-tts: spans, log records and metrics still do not arrive at http://collector:4318 (Connection refused); "
        "66 spans and 118 log records were lost so far"
    ]
    watched.arrives(SERVER, "spans")
    watched.arrives(SERVER, "log records")
    assert lines(caplog) == [], "metrics still fail"
    watched.arrives(SERVER, "metrics")
    assert lines(caplog) == [
        "otel-tts: telemetry does arrive at http://collector:4318 again; 66 spans and 118 log records were lost"
    ]
    watched.arrives(SERVER, "metrics")
    assert lines(caplog) == []


def test_what_comes_and_goes_is_said_once_a_minute(
    watched: Outages, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(30):
        watched.fails(SERVER, "spans", "503")
        watched.arrives(SERVER, "spans")
        time.now += 1
    assert [line.partition(" at ")[0] for line in lines(caplog)] == [
        "otel-tts: spans do not arrive", "otel-tts: telemetry does arrive",
    ]  # fmt: skip


def test_each_place_has_its_own_line(watched: Outages, caplog: pytest.LogCaptureFixture) -> None:
    watched.fails(SERVER, "spans", "x")
    watched.fails(FOLDER, "spans", "No space left on device", 1)
    watched.arrives(FOLDER, "spans")
    _, first, again = lines(caplog)
    assert first.startswith("otel-tts: spans do not get written to /var/telemetry (No space left on device). Make room")
    assert again == "otel-tts: telemetry does get written to /var/telemetry again; 1 span was lost"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Failed to export spans batch code: 404, reason: Not Found", "404 Not Found"),
        (
            "Transient error HTTPConnectionPool(host='a', port=1): Max retries exceeded with url: /v1/traces "
            "(Caused by NewConnectionError('<…>: Failed to establish a new connection: [Errno 111] Connection "
            "refused')) encountered while exporting spans batch, retrying in 0.95s.",
            "Connection refused",
        ),
        (
            "Transient error Service Unavailable encountered while exporting logs batch, retrying in 1s.",
            "Service Unava",
        ),
        (
            "Failed to export traces to a:4317, error code: StatusCode.UNAVAILABLE, error details: failed to connect "
            "to all addresses; last error: UNKNOWN: ipv4:1.2.3.4:4317: Connection refused",
            "Connection refused",
        ),
        (
            "Transient error StatusCode.UNAVAILABLE encountered while exporting traces to a:4317, retrying in 0.82s. "
            "Error details: Socket closed",
            "Socket closed",
        ),
        ("Failed to export spans batch due to timeout, max retries or shutdown.", ""),
        ("Cannot reach https://user:secret@proxy:1 anyhow", "Cannot reach https://proxy:1 anyhow"),
        ("one\ntwo " + "x" * 500, "one two " + "x" * 192),
    ],
)
def test_reasons_are_short_and_hold_no_secrets(said: str, reason: str) -> None:
    assert explain(said).startswith(reason) and bool(explain(said)) == bool(reason)
    assert "secret" not in explain(said) and len(explain(said)) <= 200


class Raising:
    def export(self, batch: object, **kwargs: object) -> object:
        raise RuntimeError("no")


def test_an_exporter_that_raises_has_failed_and_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    counts = Losses()
    assert Counted(Raising(), "spans", counts).export([1, 2]) is None
    assert Watched(Raising(), "metrics", counts).export(object(), timeout_millis=1) is None
    (line,) = lines(caplog)
    assert "(RuntimeError: no)" in line
    assert counts.undelivered() == {"spans": 2}


def test_only_what_is_said_during_an_export_is_withheld(caplog: pytest.LogCaptureFixture) -> None:
    exporter, library = logging.getLogger("opentelemetry.exporter.otlp"), logging.getLogger("urllib3.connectionpool")
    outages.listen()
    try:
        with caplog.at_level(logging.DEBUG):
            library.warning("of the application")
            exporter.warning("at the start")
            attempt = Attempt(Outages(), SERVER, "spans")
            with attempting(attempt):
                library.warning("retrying: [Errno 1] why")
                library.debug("new connection")
                exporter.error("Failed to export spans batch code: 500, reason: Oh")
                exporter.debug("asked for")
            said = lines(caplog)
    finally:
        outages.stop_listening()
    assert said[:2] == ["of the application", "at the start"]
    assert said[2].startswith("otel-tts: spans do not arrive") and said[3:] == ["asked for"]
    assert attempt.reason == "500 Oh"


def test_nothing_about_exporting_is_exported() -> None:
    def passes(name: str) -> bool:
        return NotExported().filter(logging.LogRecord(name, logging.WARNING, "", 1, "x", None, None))

    assert passes("app") and passes("urllib3.connectionpool") and passes("opentelemetry.sdk.trace")
    assert not passes("opentelemetry.exporter.otlp.proto.grpc.exporter")
    assert not passes("opentelemetry.sdk._shared_internal")
    with attempting(Attempt(Outages(), SERVER, "spans")):
        assert not passes("app") and not passes("urllib3.connectionpool")


@pytest.mark.parametrize(("late", "guess"), [([], "lost before"), (["traces"], "is the collector reachable?")])
def test_a_collector_that_answers_in_time_is_not_doubted_at_the_end(
    late: list[str], guess: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    made = Losses()
    monkeypatch.setattr(losses, "_losses", made)
    made.lose("spans", "queue_full_spans", 2)
    losses.report(late, 3.0)
    said = capfd.readouterr().err
    assert "2 spans had not been delivered" in said and said.endswith(f"{guess}\n")
