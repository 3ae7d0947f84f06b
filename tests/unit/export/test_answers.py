# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a receiver answers is read, and never raises."""

from __future__ import annotations

import gzip
import zlib
from email.utils import formatdate
from time import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from otel_tts.export import answers

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The machine may be busy."""


@patient
@given(
    st.integers(100, 599),
    st.dictionaries(
        st.sampled_from(["content-type", "content-encoding", "retry-after"]),
        st.sampled_from(["gzip", "deflate", "application/x-protobuf", "1e400", "-1", "nan", "é", ""]) | st.text(),
    ),
    st.binary() | st.binary().map(gzip.compress),
)
def test_anything(status: int, headers: dict[str, str], body: bytes) -> None:
    answer = answers.read(status, headers, body)
    assert answer.delivered == (200 <= status < 300)
    assert answer.rejected >= 0 and len(answer.said) <= 200
    assert answer.asked is None or 0 <= answer.asked <= 86_400
    assert isinstance(answer.reason, str) and answer.tries >= 1


@patient
@given(st.integers(0, 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_a_partial_success(rejected: int, message: str, is_packed: bool) -> None:
    response = ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = rejected
    response.partial_success.error_message = message
    body = response.SerializeToString()
    headers = {"content-encoding": "deflate"} if is_packed else {}
    answer = answers.read(200, headers, zlib.compress(body) if is_packed else body)
    assert answer.rejected == rejected
    assert "\n" not in answer.said and (answer.said in " ".join(message.split()) or not message.isprintable())


def test_less_than_none_rejected_is_none() -> None:
    response = ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = -5
    assert answers.read(200, {}, response.SerializeToString()).rejected == 0


def test_the_message_of_a_status_is_told() -> None:
    body = b"\x08\x03\x12\x0bno such\n\x00 x"  # google.rpc.Status: code 3, message
    assert answers.read(400, {"content-type": "application/x-protobuf"}, body).reason == "Bad Request: no such x"
    assert answers.read(400, {"content-type": "text/html"}, body).reason == "Bad Request"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("5", 5), ("0.5", 0.5), ("-3", 0), ("99999999", 86_400), ("inf", None), ("soon", None), ("", None), (None, None)],
)
def test_retry_after(given: str | None, seconds: float | None) -> None:
    assert answers.read(503, {"retry-after": given}, b"").asked == seconds
    assert answers.read(500, {"retry-after": given}, b"").asked is None


def test_retry_after_as_a_date() -> None:
    assert 50 < (answers.read(429, {"retry-after": formatdate(time() + 60)}, b"").asked or 0) <= 60
    assert answers.read(429, {"retry-after": formatdate(0)}, b"").asked == 0


def test_an_answer_unpacks_to_no_more_than_is_read() -> None:
    bomb = gzip.compress(bytes(200_000_000))[: answers.MOST_BYTES]
    assert len(answers._unpacked(bomb, "gzip")) <= answers.MOST_BYTES
