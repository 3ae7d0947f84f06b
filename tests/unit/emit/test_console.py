# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The lines on stderr."""

from __future__ import annotations

import io
import json
import sys

import pytest
from opentelemetry.trace import SpanContext

from otel_tts import guard
from otel_tts.emit.console import Console

SPAN = SpanContext(0xABC, 0x123, False)
STAMP = 1_700_000_000_123_456_789
FIELDS = {"request_id": "r", "duration": 0.25, "stage": "módel"}
IDS = {"trace_id": f"{0xABC:032x}", "span_id": f"{0x123:016x}"}


def written(form: str, capsys, fields=FIELDS) -> str:
    Console(form).write("REQ_START", "INFO", STAMP, "REQ_START request_id=r", fields, SPAN)
    return capsys.readouterr().err


def test_logfmt(capsys) -> None:
    assert written("logfmt", capsys) == (
        f"2023-11-14T22:13:20.123Z INFO REQ_START request_id=r trace_id={IDS['trace_id']} span_id={IDS['span_id']}\n"
    )


def test_json_is_one_object_a_line(capsys) -> None:
    line = written("json", capsys)
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.123Z",
        "level": "INFO",
        "event": "REQ_START",
        **FIELDS,
        **IDS,
    }


def test_json_takes_values_it_does_not_know(capsys) -> None:
    assert "object object" in json.loads(written("json", capsys, {"request_id": object()}))["request_id"]


def test_none_writes_nothing(capsys) -> None:
    assert written("none", capsys) == ""


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "reader is gone")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "stream", [closed(), Gone(), None, io.TextIOWrapper(io.BytesIO(), encoding="ascii")],
    ids=["closed", "reader gone", "absent", "cannot encode"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_a_stderr_that_cannot_be_written_is_no_error(world, monkeypatch, stream, form: str) -> None:
    here = world(log_format=form)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        with here.synthesis() as synthesis, synthesis.stage("módel"):
            pass
        here.emitter.drain()
    assert len(here.lines()) == 3
    assert here.names() == ["tts.módel", "text_to_speech"]
    assert not guard.faults


def test_stderr_is_looked_up_at_each_line(world, monkeypatch) -> None:
    here = world(log_format="logfmt")
    now = io.StringIO()
    monkeypatch.setattr(sys, "stderr", now)
    with here.synthesis():
        pass
    here.drain()
    assert [line.split()[2] for line in now.getvalue().splitlines()] == ["REQ_START", "REQ_SUCCESS"]
