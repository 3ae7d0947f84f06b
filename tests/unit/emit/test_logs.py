# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The request's lines: bodies, attributes, severities, times."""

from __future__ import annotations

import re

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import SpanContext

from otel_tts import names
from otel_tts.emit.logs import Lines
from otel_tts.record import PlainSpan
from otel_tts.settings import Settings


def test_bodies_are_made_from_the_listed_fields_only(world) -> None:
    here = world(stuck_after=0.1)
    whole = here.synthesis(tts__text__length=3, tts__emotion__mode="text")
    with pytest.raises(RuntimeError), whole as synthesis, synthesis.stage("model"):
        synthesis.t0 -= 10**9
        here.emitter.report_stuck()
        synthesis.set_attribute("secret", "x")
        raise RuntimeError("secret")
    here.drain()
    assert [line.split()[1] for line in here.lines()] == ["REQ_START", "REQ_STUCK", "REQ_FAIL", "STAGE_TIME"]
    for record in here.records:
        event, *fields = record.body.split(" ")
        assert event in names.LOG_LINES
        keys = {field.partition("=")[0] for field in fields}
        assert keys <= (
            names.LOG_FIELDS.keys() if event != "STAGE_TIME" else {"request_id", "total", "other", *names.STAGES}
        )
        assert "secret" not in repr(record.attributes) + record.body


def test_records_carry_the_fields_as_attributes(world, clock) -> None:
    here = world()
    with here.synthesis(tts__text__length=3, gen_ai__request__model="m") as synthesis:
        clock.tick(0.5)
        synthesis.audio([0.5, -0.5] * 8000, 16000)
    here.drain()
    start, end = here.records
    assert dict(start.attributes) == {"request_id": "r", "tts.engine.name": "e", "tts.text.length": 3}
    ended = dict(end.attributes)
    assert ended.pop("tts.real_time_factor") == 0.5
    assert ended == {
        "request_id": "r", "tts.engine.name": "e", "tts.text.length": 3, "tts.audio.duration": 1.0,
        "tts.audio.sample_rate": 16000, "tts.audio.channels": 1, "tts.outcome": "ok",
    }  # fmt: skip
    assert (end.timestamp - start.timestamp) == 500_000_000
    assert (start.severity_text, int(start.severity_number.value)) == ("INFO", 9)


class Refused(Exception):
    status_code = 429


@pytest.mark.parametrize(
    "leaves, severity",
    [(RuntimeError(), "ERROR"), (Refused(), "WARN"), (KeyboardInterrupt(), "WARN")],
    ids=["error", "rejected", "cancelled"],
)
def test_severities(world, leaves, severity) -> None:
    here = world()
    with pytest.raises(type(leaves)), here.synthesis():
        raise leaves
    here.drain()
    assert here.lines()[-1].startswith(f"{severity} REQ_FAIL ")


def test_a_silent_failure_names_its_anomalies(world) -> None:
    here = world()
    with here.synthesis() as synthesis:
        synthesis.audio([0.0] * 16000, 16000)
    here.drain()
    assert re.search(r"^ERROR REQ_FAIL .* error_type=silent status=anomalous$", here.lines()[-1])


def test_a_request_without_stages_has_no_stage_line(world) -> None:
    here = world()
    with here.synthesis():
        pass
    assert "STAGE_TIME" not in " ".join(here.drain().lines())


def test_lines_belong_to_the_synthesis_span(world) -> None:
    here = world()
    with here.synthesis() as synthesis:
        pass
    here.drain()
    context = synthesis.get_span_context()
    assert {(record.trace_id, record.span_id, int(record.trace_flags)) for record in here.records} == {
        (context.trace_id, context.span_id, int(context.trace_flags))
    }


def test_where_nobody_reads_no_line_is_made_until_somebody_does(world) -> None:
    provider, memory = LoggerProvider(shutdown_on_exit=False), InMemoryLogRecordExporter()
    silent = Lines(provider, Settings(log_format="none"))
    assert not silent.are_read
    assert Lines(provider, Settings(log_format="logfmt")).are_read  # stderr is
    here = world()
    here.emitter.lines = silent
    with here.synthesis(), here.synthesis():
        here.drain()
        provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    here.drain()
    assert [one.log_record.event_name for one in memory.get_finished_logs()] == ["REQ_SUCCESS", "REQ_SUCCESS"]


def test_a_line_on_stderr_needs_no_processor(capsys) -> None:
    lines = Lines(LoggerProvider(shutdown_on_exit=False), Settings(log_format="logfmt"))
    span = PlainSpan("tts.queue", Context(), 1, 0, {names.REQUEST_ID: "r", names.ABANDONED: 0.5})
    span.identity, span.inside = SpanContext(1, 2, False), Context()
    lines.abandoned(span)
    assert "REQ_ABANDONED request_id=r abandoned=0.5" in capsys.readouterr().err
