# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The self-test: silent when the gate holds, and it notices each thing that a broken gate would let out."""

from __future__ import annotations

import base64
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from otel_tts import guard
from otel_tts.otel_private.ended import WholeSpan
from otel_tts.privacy import canary, cleaner
from otel_tts.privacy.cleaner import Cleaner
from otel_tts.privacy.policy import Policy
from tests.unit.support.gate_kit import Pipeline, counting


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(app_logs="body"),
        Policy(app_logs="none"),
        Policy(allow=["url.query", "type", "process.command_line", "tts.*", "gen_ai.*", "http.*", "server.address"]),
        Policy(voices=["heart", "中文女"]),
    ],
    ids=["default", "body", "none", "allowing", "voices"],
)
def test_a_sound_gate_passes_in_silence(policy: Policy, caplog: pytest.LogCaptureFixture) -> None:
    counting(policy)
    with caplog.at_level(logging.DEBUG):
        assert canary.check(policy) is None
    assert not caplog.records
    assert not policy.redacted and not policy.dropped, "the test leaves no trace in the counts"
    assert not guard.faults


def test_it_sings_through_spans_of_the_kind_that_records_become(monkeypatch: pytest.MonkeyPatch) -> None:
    real, came = Cleaner.span, Counter[type]()

    def leaky(self: Cleaner, span: Any) -> Any:
        came[type(span)] += 1
        return span if type(span) is WholeSpan else real(self, span)

    monkeypatch.setattr(Cleaner, "span", leaky)
    assert "got through the privacy gate" in (canary.check(counting(Policy())) or "")
    assert came[WholeSpan]


def same(*values: Any) -> Any:
    return values[0] if len(values) == 1 else values


def test_it_sings_through_the_sdks_encoders_where_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.exporter.otlp.proto.common import trace_encoder

    real, sung = trace_encoder.encode_spans, []

    def listen(spans: Any) -> Any:
        sung.append(len(spans))
        return real(spans)

    monkeypatch.setattr(trace_encoder, "encode_spans", listen)
    assert canary.check(counting(Policy())) is None and not sung
    assert canary.check(counting(Policy()), the_sdks=True) is None and sung


@pytest.mark.parametrize("the_sdks", [False, True])
def test_what_only_an_encoder_lets_out_is_found(the_sdks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder reads something that the gate does not look at."""

    def leak(*_: Any) -> Any:
        yield from real(*_)
        yield _marker[0].encode()

    real, _marker = canary._ours, [""]
    sentences = canary._sentences

    def remember() -> Any:
        for sentence, marker in sentences():
            _marker[0] = marker
            yield sentence, marker

    monkeypatch.setattr(canary, "_sentences", remember)
    monkeypatch.setattr(canary, *(("_sdks", lambda: (leak,)) if the_sdks else ("_ours", leak)))
    assert "got through" in (canary.check(counting(Policy()), the_sdks=the_sdks) or "")


def test_what_cannot_be_encoded_is_not_taken_for_clean(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise TypeError

    monkeypatch.setattr(canary.SpanEncoder, "_span", fail)
    with caplog.at_level(logging.CRITICAL + 1, "otel_tts"):
        assert canary.check(counting(Policy())) == "the test of the privacy gate failed with ValueError"
    guard.faults.clear()


BREAKS: dict[str, Callable[..., Any]] = {
    "attributes": same,
    "labels": lambda labels, scope: labels,
    "resource": same,
    "span_name": lambda name, *_: name,
    "event": lambda name, attributes: (name, attributes),
    "trace_state": same,
    "scope": lambda *given: given,
    "log": lambda scope, severity, body, attributes: (body, attributes),
    "severity": same,
    "event_name": same,
    "metric": lambda name, unit, description, scope: (name, unit, description),
}


@pytest.mark.parametrize("method", BREAKS)
def test_a_hole_in_the_policy_is_found(method: str) -> None:
    policy = counting(Policy())
    policy.__dict__[method] = BREAKS[method]
    assert "got through" in (canary.check(policy) or "")


@pytest.mark.parametrize("begin", ["GET ", "tts.", "text_to_speech ", "process "])
@pytest.mark.parametrize("kind", [SpanKind.INTERNAL, SpanKind.SERVER])
def test_a_hole_for_one_kind_of_name_is_found(begin: str, kind: SpanKind) -> None:
    policy = counting(Policy())
    judge = policy.span_name

    def span_name(name: str, of: SpanKind, *more: Any) -> str:
        return name if name.startswith(begin) and of is kind else judge(name, of, *more)

    policy.__dict__["span_name"] = span_name
    assert "got through" in (canary.check(policy) or "")


@pytest.mark.parametrize(
    ("method", "replacement"),
    [
        ("span", lambda self, span: span),
        ("log", lambda self, record: record),
        ("resource_metrics", lambda self, part: part),
        ("resource", lambda self, resource: resource),
        ("scope", lambda self, scope: scope),
        ("_context", lambda self, context: context),
        ("_events", lambda self, events: None),
        ("_links", lambda self, links: None),
        ("_exemplar", lambda self, exemplar: exemplar),
    ],
)
def test_a_hole_in_the_gate_is_found(monkeypatch: pytest.MonkeyPatch, method: str, replacement: Any) -> None:
    monkeypatch.setattr(Cleaner, method, replacement)
    assert "got through" in (canary.check(counting(Policy())) or "")


def test_a_status_description_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        cleaner, "Status", lambda code: type("Said", (), {"status_code": code, "description": _marker[0]})()
    )
    real = canary._sentences
    _marker: list[str] = [""]

    def remember() -> Any:
        for sentence, marker in real():
            _marker[0] = marker
            yield sentence, marker

    monkeypatch.setattr(canary, "_sentences", remember)
    assert "got through" in (canary.check(counting(Policy())) or "")


@pytest.mark.parametrize(
    "encode", [str, quote, lambda s: s.encode().hex(), lambda s: base64.b64encode(s.encode()).decode()]
)
def test_encoded_sentences_are_found(encode: Callable[[str], str]) -> None:
    for sentence, marker in canary._sentences():
        assert canary._find(marker, f"before {encode(sentence)} after".encode())
        assert canary._find(marker, b"something else") is None


def test_a_gate_that_lets_nothing_out_is_no_sound_gate(caplog: pytest.LogCaptureFixture) -> None:
    policy = counting(Policy())

    def fail(*_: Any) -> Any:
        raise RuntimeError

    policy.__dict__["span_name"] = fail
    with caplog.at_level(logging.CRITICAL + 1, "otel_tts"):
        assert canary.check(policy) == "the privacy gate holds back clean telemetry"


def test_an_error_in_the_test_is_a_reason(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(canary, "_send_everywhere", fail)
    with caplog.at_level(logging.CRITICAL + 1, "otel_tts"):
        assert canary.check(counting(Policy())) == "the test of the privacy gate failed with RuntimeError"
    assert guard.faults["canary"] == 1


def test_an_exporter_without_a_gate_is_named() -> None:
    pipe = Pipeline()
    assert canary.check(pipe.policy, pipe.tracers, pipe.meters, pipe.loggers) is None
    pipe.tracers.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    del pipe.reader._receive_metrics
    reason = canary.check(pipe.policy, pipe.tracers, pipe.meters, pipe.loggers)
    assert reason == "exporters without a gate: InMemorySpanExporter, InMemoryMetricReader"


def test_a_refusal_stops_the_gates_that_stand_already(caplog: pytest.LogCaptureFixture) -> None:
    pipe = Pipeline()
    with caplog.at_level(logging.ERROR, "otel_tts"):
        canary.refuse(pipe.policy, "a test sentence got through the privacy gate (as text)")
    assert "Nothing is exported" in caplog.text
    pipe.tracers.get_tracer("app").start_span("work", Context()).end()
    assert not pipe.everything().strip()
    assert pipe.policy.dropped == {"canary": 1}
