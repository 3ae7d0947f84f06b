# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The sender's contract, against a real receiver that behaves and misbehaves."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_tts.export import endpoint_settings, post
from otel_tts.export.post import Outcome, Sender
from tests.unit.support.receiver import Receiver, answer, drip, hang, hang_up, raw

Make = Callable[..., Sender]


@pytest.fixture
def make(receiver: Receiver) -> Iterator[Make]:
    """Makes senders; what they hold open is closed afterwards."""
    made: list[Sender] = []

    def sender(**variables: str) -> Sender:
        environ = {"ENDPOINT": receiver.endpoint, **variables}
        target = endpoint_settings.read("traces", {f"OTEL_EXPORTER_OTLP_{k}": v for k, v in environ.items()})
        made.append(Sender(target, "spans"))
        return made[-1]

    yield sender
    for one in made:
        one.close()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses of our own between tries."""
    monkeypatch.setattr(post.random, "uniform", lambda low, high: 0.0)


def took(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    return call(), time.monotonic() - began


def test_a_batch_arrives_with_path_and_headers(receiver: Receiver, make: Make) -> None:
    sender = make(HEADERS="x-key=a%20b, Authorization=Basic%20eA==,name=%E4%BD%A0,content-type=text/html")
    assert sender.send(b"content").delivered
    (request,) = receiver.requests
    assert request.head == "POST /v1/traces HTTP/1.1"
    assert request.body == b"content"
    assert request.headers["x-key"] == "a b"
    assert request.headers["authorization"] == "Basic eA=="
    assert request.headers["name"] == "你"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["user-agent"].startswith("otel-tts/")


def test_user_and_password_of_the_url_are_a_header_and_not_said(receiver: Receiver, make: Make) -> None:
    sender = make(ENDPOINT=receiver.endpoint.replace("//", "//user:pass%20word@"))
    assert sender.send(b"x").delivered
    assert receiver.requests[0].headers["authorization"] == "Basic dXNlcjpwYXNzIHdvcmQ="
    assert "user" not in sender._target.place and "user" not in repr(sender._target)


def test_the_connection_is_kept(receiver: Receiver, make: Make) -> None:
    sender = make()
    assert sender.send(b"1").delivered and sender.send(b"2").delivered
    assert len({request.port for request in receiver.requests}) == 1


@pytest.mark.parametrize("how", [answer(connection="close"), raw(b"HTTP/1.0 200 OK\r\n\r\n")])
def test_a_connection_that_the_receiver_closes_is_replaced(receiver: Receiver, make: Make, how: Any) -> None:
    sender = make()
    receiver.answers += [how]
    assert sender.send(b"1").delivered and sender.send(b"2").delivered
    assert receiver.bodies() == [b"1", b"2"]


def test_a_kept_connection_that_was_closed_costs_no_pause(receiver: Receiver, make: Make) -> None:
    sender = make(TIMEOUT="0.5")  # less than the first pause would be
    receiver.answers += [answer(), hang_up]
    assert sender.send(b"1").delivered
    assert sender.send(b"2").delivered
    assert receiver.bodies() == [b"1", b"2", b"2"]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retry_after_is_obeyed(receiver: Receiver, make: Make, status: int) -> None:
    receiver.answers += [answer(status, retry_after=1)]
    assert make().send(b"x").delivered
    first, second = receiver.requests
    assert second.at - first.at >= 1


def test_retry_after_may_be_a_date(receiver: Receiver, make: Make) -> None:
    receiver.answers += [answer(503, retry_after=formatdate(time.time() + 3, usegmt=True))]
    assert make().send(b"x").delivered
    first, second = receiver.requests
    assert second.at - first.at >= 1  # a date has whole seconds


def test_without_it_pauses_are_our_own(receiver: Receiver, make: Make) -> None:
    receiver.answers += [answer(503), answer(503, retry_after="soon")]
    assert make().send(b"x").delivered
    first, second, third = receiver.requests
    assert 0.7 < second.at - first.at < third.at - second.at


@pytest.mark.parametrize(("status", "tries"), [(429, 6), (503, 6), (500, 3), (408, 3)])
@pytest.mark.usefixtures("at_once")
def test_tries_are_bounded(receiver: Receiver, make: Make, status: int, tries: int) -> None:
    receiver.always = answer(status, retry_after=0)
    outcome = make().send(b"x")
    assert not outcome.delivered and f"code: {status}" in str(outcome)
    assert len(receiver.requests) == tries


@pytest.mark.parametrize("status", [301, 307, 308, 400, 401, 403, 404, 413, 501, 505])
def test_what_is_final_is_not_tried_again(receiver: Receiver, make: Make, status: int) -> None:
    with Receiver() as elsewhere:
        receiver.always = answer(status, location=elsewhere.endpoint)
        outcome = make().send(b"x")
        assert not outcome.delivered and outcome.again is None and outcome.tries == 1
        assert len(receiver.requests) == 1 and not elsewhere.requests


def test_a_wait_beyond_the_timeout_is_told_and_not_begun(receiver: Receiver, make: Make) -> None:
    receiver.always = answer(429, retry_after=3600)
    outcome, seconds = took(lambda: make(TIMEOUT="30").send(b"x"))
    assert not outcome.delivered and outcome.again == 3600
    assert seconds < 30 and len(receiver.requests) == 1


BAD = {
    "hangs": hang,
    "drips": drip(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100, 0.05),
    "speaks something else": raw(b"\x00\x01 no HTTP \xff\r\n\r\n"),
    "says nothing": hang_up,
    "stops in the head": raw(b"HTTP/1.1 200 OK\r\nContent-Len"),
    "has a status of its own": raw(b"HTTP/1.1 9999 What\r\n\r\n"),
    "never ends its head": raw(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000),
}


@pytest.mark.parametrize("how", BAD)
def test_a_receiver_that_misbehaves_costs_the_timeout_at_most(receiver: Receiver, make: Make, how: str) -> None:
    sender = make(TIMEOUT="1")
    receiver.always = BAD[how]
    outcome, seconds = took(lambda: sender.send(b"x"))
    if how != "stops in the head":  # what it says until then is a whole answer to Python: 200
        assert not outcome.delivered and outcome.again is None
    assert seconds < 5
    receiver.always = answer()
    assert sender.send(b"y").delivered


def test_a_receiver_that_does_not_read_costs_the_timeout_at_most(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        sender = make(ENDPOINT=f"http://127.0.0.1:{deaf.getsockname()[1]}", TIMEOUT="1")
        outcome, seconds = took(lambda: sender.send(bytes(30_000_000)))
    assert not outcome.delivered and "timed out" in str(outcome)
    assert seconds < 10


@pytest.mark.parametrize(
    "how",
    [
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\xff\xff\xff\xff\xff"),
        answer(200, gzip.compress(bytes(100_000_000)), content_encoding="gzip"),
        answer(200, b"no gzip", content_encoding="gzip"),
        answer(200, bytes(1_000_000)),
    ],
)
def test_what_follows_a_200_is_read_as_far_as_it_goes(receiver: Receiver, make: Make, how: Any) -> None:
    sender = make()
    receiver.answers += [how]
    assert sender.send(b"1").delivered and sender.send(b"2").delivered
    assert receiver.bodies() == [b"1", b"2"]


def test_a_partial_success_is_read(receiver: Receiver, make: Make) -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 3
    response.partial_success.error_message = "too\nlong"
    body = response.SerializeToString()
    receiver.answers += [answer(200, body), answer(200, gzip.compress(body), content_encoding="gzip")]
    for _ in range(2):
        outcome = make().send(b"x")
        assert outcome.delivered and outcome.answer is not None
        assert (outcome.answer.rejected, outcome.answer.said) == (3, "too long")


@pytest.mark.parametrize(("how", "undo"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)])
def test_compression(receiver: Receiver, make: Make, how: str, undo: Callable[[bytes], bytes]) -> None:
    assert make(COMPRESSION=how).send(post.packed(b"spans" * 1000, how)).delivered
    (request,) = receiver.requests
    assert request.headers["content-encoding"] == how
    assert undo(request.body) == b"spans" * 1000


def test_nobody_there(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    outcome, seconds = took(lambda: make(ENDPOINT=f"http://127.0.0.1:{port}", TIMEOUT="1").send(b"x"))
    assert not outcome.delivered and "Connection refused" in str(outcome)
    assert seconds < 5


def test_close_ends_the_pause_between_two_tries(receiver: Receiver, make: Make) -> None:
    receiver.always = answer(503, retry_after=20)
    sender = make(TIMEOUT="60")
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(sender.send(b"x")))
    thread.start()
    while not receiver.requests:
        time.sleep(0.01)
    sender.close()
    thread.join(10)
    assert not thread.is_alive() and not outcomes[0].delivered


FIRST_AT_EXIT = """
    import atexit, sys, threading
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext
    from otel_tts.export.exporters import OtlpSpans

    exporter = OtlpSpans()
    batch = [ReadableSpan("late", SpanContext(1, 2, False), resource=Resource({}))]
    atexit.register(lambda: (print(exporter.export(batch).name), exporter.shutdown()))
    ENDING
"""


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize(("ending", "status"), [("pass", 0), ("raise KeyboardInterrupt", -2), ("sys.exit(3)", 3)])
def test_the_first_batch_may_leave_while_the_interpreter_ends(
    receiver: Receiver, wait: bool, ending: str, status: int
) -> None:
    """Python 3.12 starts no threads then: a batch that has to wait is sent by who ends the exporter."""
    if wait:
        receiver.answers += [answer(429, retry_after=1)]
    environ = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "0.9"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(FIRST_AT_EXIT.replace("ENDING", ending))],
        env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (status, "SUCCESS\n"), done.stderr
    assert len(receiver.requests) == 1 + wait
    assert ("Traceback" in done.stderr) == (status == -2)
