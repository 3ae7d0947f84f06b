# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What every `TraceStore` does."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import pytest

from otel_tts import names
from otel_tts.readers.filters import Filter
from otel_tts.readers.model import Synthesis
from otel_tts.readers.stores import TraceStore
from tests.store_contracts.sent import DAY, MS, Request, S, span, traces

ODD = [
    'a"b', "a\\", "a\nb", "a'b`c", '" || true || "', '"} || {name="', "a*", "alb", "a|b", "a:b", "é日本", "a%20b", "{}",
    "$1", "a, b=c", "(a)", "a\tb", "//", 'x" or service.name:*',
]  # fmt: skip
"""Values that would end a string, or mean more than themselves, in one query language or another."""


class Traces(Protocol):
    """A store, and how something comes into it. `send` returns when all of it can be found."""

    store: TraceStore
    service: str
    send: Callable[..., None]


class TraceContract:
    """Needs a fixture `to`, fresh for each test: a `Traces`, in which nothing else has its service's name."""

    def sent(self, to: Traces, *requests: Request, more: tuple[dict[str, Any], ...] = ()) -> None:
        to.send(traces(to.service, [one for request in requests for one in request.spans]), *more)

    def found(self, to: Traces, **wanted: Any) -> list[str | None]:
        answer = to.store.find(Filter(service=to.service, **wanted))
        assert answer.complete, answer.gaps
        return [one.request_id for one in answer]

    def test_a_trace_comes_back_as_it_was_sent(self, to: Traces) -> None:
        start = time.time_ns() - 60 * S + 123
        one = Request(start, **{names.AUDIO_ANOMALY: ["clipped", "clicks"]})
        event = {"name": "gpu.memory", "timeUnixNano": str(start + 7), "attributes": []}
        one.synthesis |= {"events": [event], "status": {"code": 2, "message": "why"}}
        self.sent(to, one)

        answer = to.store.get(one.trace)

        assert answer.complete
        server, synthesis, stage = sorted(answer, key=lambda span: span.name)
        assert (server.name, server.kind, server.parent_id) == ("POST /speak", "server", "")
        assert (synthesis.trace_id, synthesis.parent_id, synthesis.kind) == (one.trace, server.span_id, "internal")
        assert (synthesis.start, synthesis.end) == (start, start + S)  # to the nanosecond
        assert {key: synthesis.attributes[key] for key in one.attributes} == one.attributes
        assert {type(synthesis.attributes[key]) for key in one.attributes} == {str, int, float, bool, list}
        assert (synthesis.status, synthesis.status_message) == ("error", "why")
        assert [(at.name, at.time) for at in synthesis.events] == [("gpu.memory", start + 7)]
        assert (stage.name, stage.seconds, stage.parent_id) == ("tts.vocoder", 0.25, synthesis.span_id)
        assert (stage.scope, stage.resource["service.name"]) == (names.SCOPE, to.service)

    def test_a_trace_that_is_not_there_is_none(self, to: Traces) -> None:
        answer = to.store.get(secrets.token_hex(16))
        assert answer.complete and answer.items == ()

    def test_a_synthesis_has_what_its_trace_tells(self, to: Traces) -> None:
        start = time.time_ns() - 60 * S
        one = Request(start, seconds=2.0, stages={}, **{names.OUTCOME: "error", names.ERROR_TYPE: "ValueError"})
        one.add("vocoder", start, 0.5, **{names.HW_ID: "GPU-1"})
        one.add("vocoder", start + S // 4, 0.5)  # half of it at the same time
        folded = {names.STAGE_SEGMENTS: 3, names.STAGE_HOST_DURATION: 0.3}
        one.add("acoustic_model", start, 2.0, **folded)  # stands for three
        waited = span(one.trace, "tts.queue", start - MS, start, one.server["spanId"])
        one.spans.append(waited)
        self.sent(to, one)

        (found,) = to.store.find(Filter(service=to.service))

        assert (found.trace_id, found.span_id) == (one.trace, one.synthesis["spanId"])
        assert (found.request_id, found.outcome, found.error_type) == (one.id, "error", "ValueError")
        assert (found.engine, found.model, found.voice, found.service) == ("kokoro", "m1", "alba", to.service)
        assert (found.start, found.seconds, found.anomalies, found.devices) == (start, 2.0, (), ("GPU-1",))
        assert found.stages == pytest.approx({"vocoder": 0.75, "acoustic_model": 0.3, "queue": 0.001})
        assert (found.root.name, found.root.start) == ("POST /speak", start - MS)

    def test_each_filter_finds_what_meets_it(self, to: Traces) -> None:
        now = time.time_ns() - 60 * S
        plain = Request(now)
        failed = Request(now + 1 * S, **{names.OUTCOME: "error", names.ENGINE: "piper"})
        odd = Request(now + 2 * S, **{names.AUDIO_ANOMALY: ["clipped", "clicks"], names.VOICE: "berta"})
        slow = Request(now + 3 * S, seconds=9.0, stages={"acoustic_model": 3.0, "vocoder": 5.0})
        self.sent(to, plain, failed, odd, slow)

        assert self.found(to) == [slow.id, odd.id, failed.id, plain.id]
        assert self.found(to, request_id=odd.id) == [odd.id]
        assert self.found(to, trace_id=odd.trace) == [odd.id]
        assert self.found(to, outcome="error") == [failed.id]
        assert self.found(to, engine="piper") == [failed.id]
        assert self.found(to, engine="kokoro", outcome="ok", voice="alba") == [slow.id, plain.id]
        assert self.found(to, voice="berta") == [odd.id]
        assert self.found(to, anomaly="clipped") == [odd.id]
        assert self.found(to, anomaly="clicks", outcome="ok") == [odd.id]
        assert self.found(to, anomaly="clip") == []
        assert self.found(to, least_seconds=5.0) == [slow.id]
        assert self.found(to, stage="acoustic_model") == [slow.id]
        assert self.found(to, stage="vocoder", least_seconds=1.0) == [slow.id]
        assert self.found(to, stage="acoustic_model", least_seconds=4.0) == []
        assert self.found(to, since=failed.start, until=slow.start) == [odd.id, failed.id]
        assert self.found(to, request_id="nobody") == []
        answer = to.store.find(Filter(service=f"{to.service}-2"))
        assert answer.complete and not answer.items

    def test_by_its_id_a_request_is_told_with_its_whole_trace(self, to: Traces) -> None:
        now = time.time_ns() - 60 * S
        one, other = Request(now), Request(now + S)
        bare = Request(now + 2 * S)  # it came to no synthesis
        bare.spans = bare.spans[:1]
        self.sent(to, one, other, bare)

        answer = to.store.named(one.id)

        assert answer.complete
        (spans,) = answer
        assert [span.start for span in spans] == sorted(span.start for span in spans)
        assert {span.span_id for span in spans} == {span["spanId"] for span in one.spans}
        assert [[span.trace_id for span in spans] for spans in to.store.named(bare.id)] == [[bare.trace]]
        assert to.store.named("nobody-" + secrets.token_hex(4)).items == ()

        several = to.store.traces([other.trace, secrets.token_hex(16), one.trace])
        assert several.complete and [spans[0].trace_id for spans in several] == [other.trace, one.trace]
        assert [len(spans) for spans in several] == [3, 3]

    def test_what_began_about_a_time_is_there_to_compare_with(self, to: Traces) -> None:
        now = time.time_ns() - 3600 * S
        made = [Request(now + number * S) for number in range(12)]
        self.sent(to, *made)
        # Others may be in the store, from before and after.
        near = to.store.near(made[5].start, 1000, 20.0)
        found = [one for one in near if one.service == to.service]
        assert {one.request_id for one in found} == {one.id for one in made}
        assert all(one.stages == {"vocoder": 0.25} for one in found)
        apart = [abs(one.start - made[5].start) for one in near]
        assert apart == sorted(apart)
        assert len(to.store.near(made[5].start, 3, 20.0)) == 3

    def test_waiting_before_it_began_is_told_apart_from_waiting_in_it(self, to: Traces) -> None:
        start = time.time_ns() - 60 * S
        one = Request(start, seconds=2.0, stages={})
        one.spans.append(span(one.trace, "tts.queue", start - S, start, one.server["spanId"]))
        one.spans.append(span(one.trace, "tts.queue", start, start + S // 2, one.synthesis["spanId"]))
        self.sent(to, one)
        (found,) = to.store.find(Filter(service=to.service))
        assert (found.waited, found.stages) == (1.0, {"queue": 1.5})

    def test_all_conditions_are_met_by_one_synthesis(self, to: Traces) -> None:
        now = time.time_ns() - 60 * S
        trace = secrets.token_hex(16)
        long_caller = span(trace, "caller", now - 30 * S, now + 30 * S)
        first = Request(now, trace=trace, parent=long_caller["spanId"], **{names.OUTCOME: "error"})
        other = Request(now + S, trace=trace, parent=long_caller["spanId"], **{names.VOICE: "berta"})
        self.sent(to, first, other, more=(traces(f"{to.service}-caller", [long_caller]),))

        assert self.found(to) == [other.id, first.id]
        assert self.found(to, outcome="error", voice="berta") == []
        assert self.found(to, outcome="ok", voice="berta") == [other.id]
        assert self.found(to, least_seconds=10.0) == []  # only another service's span took so long
        assert [one.root.name for one in to.store.find(Filter(service=to.service))] == ["caller", "caller"]

    def test_a_stage_in_parts_is_as_long_as_they_are_together(self, to: Traces) -> None:
        now = time.time_ns() - 60 * S
        one = Request(now, seconds=3.0, stages={})
        for part in range(3):
            one.add("vocoder", now + part * S, 0.5)
        self.sent(to, one)
        assert self.found(to, stage="vocoder", least_seconds=1.4) == [one.id]
        assert self.found(to, stage="vocoder", least_seconds=1.6) == []

    def test_a_key_and_value_that_join_to_the_same_are_not_the_same(self, to: Traces) -> None:
        now = time.time_ns() - 60 * S
        decoy = Request(now, request_i="drid-1")
        self.sent(to, decoy)
        assert self.found(to, request_id="rid-1") == []

    def test_a_request_without_a_synthesis_is_found_by_its_id_only(self, to: Traces) -> None:
        now = time.time_ns() - 60 * S
        refused = Request(now)
        refused.spans = [refused.server]
        well = Request(now + S)
        self.sent(to, refused, well)
        assert self.found(to) == [well.id]
        (found,) = to.store.find(Filter(service=to.service, request_id=refused.id))
        assert (found.span_id, found.outcome, found.request_id) == ("", None, refused.id)
        assert found.attributes["http.response.status_code"] == 200

    def test_times_at_the_bounds(self, to: Traces) -> None:
        start = time.time_ns() - 60 * S
        start -= start % 1000 - 999  # the last nanosecond of a microsecond
        one = Request(start)
        self.sent(to, one)
        assert self.found(to, since=start, until=start + 1) == [one.id]
        assert self.found(to, since=start + 1) == []
        assert self.found(to, until=start) == []
        assert self.found(to, since=start, until=start) == []
        assert self.found(to, since=start + S, until=start) == []
        ever = to.store.find(Filter(service=to.service, since=0, until=2**63 - 1))
        assert len(ever) == 1 and {gap.why for gap in ever.gaps} <= {"retention"}  # a store may say what it keeps
        assert [one.request_id for one in self.period(to, start, start + 1)] == [one.id]
        assert self.period(to, start + 1, start + 2) == []

    def test_the_newest_up_to_the_limit(self, to: Traces) -> None:
        now = time.time_ns() - 60 * S
        requests = [Request(now + number * MS) for number in range(5)]
        self.sent(to, *requests)
        answer = to.store.find(Filter(service=to.service, limit=2))
        assert [one.request_id for one in answer] == [requests[4].id, requests[3].id]
        assert [gap.why for gap in answer.gaps] == ["limit"]
        assert self.found(to, limit=5) == [one.id for one in reversed(requests)]
        nothing = to.store.find(Filter(service=to.service, limit=0))
        assert nothing.items == () and [gap.why for gap in nothing.gaps] == ["limit"]

    def test_the_slowest(self, to: Traces) -> None:
        now = time.time_ns() - 600 * S
        seconds = [1.0, 30.0, 2.0, 0.5, 7.0, 0.1]
        requests = [
            Request(now + number * S, seconds=took, stages={"vocoder": 0.01 * number})
            for number, took in enumerate(seconds)
        ]
        self.sent(to, *requests)
        answer = to.store.slowest(Filter(service=to.service, limit=3))
        assert [one.seconds for one in answer] == [30.0, 7.0, 2.0]
        assert [gap.why for gap in answer.gaps] == ["limit"]
        by_stage = to.store.slowest(Filter(service=to.service, stage="vocoder", limit=2))
        assert [one.request_id for one in by_stage] == [requests[5].id, requests[4].id]
        all_of_them = to.store.slowest(Filter(service=to.service, limit=10))
        assert all_of_them.complete and len(all_of_them) == 6

    def period(self, to: Traces, since: int | None = None, until: int | None = None) -> list[Synthesis]:
        stream = to.store.syntheses(since, until)
        mine = [one for one in stream if one.service == to.service]
        assert stream.complete, stream.gaps
        return mine

    def test_all_of_a_period_each_once(self, to: Traces) -> None:
        now = time.time_ns() - 600 * S
        requests = [Request(now + number * S, seconds=3.0) for number in range(40)]
        self.sent(to, *requests)
        found = self.period(to, now + 5 * S, now + 35 * S)
        assert sorted(one.start for one in found) == [one.start for one in requests[5:35]]
        assert {one.request_id for one in found} == {one.id for one in requests[5:35]}

    def test_more_than_a_store_says_at_once(self, to: Traces) -> None:
        now = time.time_ns() - 600 * S
        requests = [Request(now + number * 10 * MS, stages={}) for number in range(450)]
        for request in requests:
            request.spans = [{**request.synthesis, "parentSpanId": ""}]
        self.sent(to, *requests)
        assert len(self.period(to, now, now + 10 * S)) == 450
        assert self.found(to, limit=450) == [request.id for request in reversed(requests)]
        assert self.found(to, limit=450, outcome="ok") == [request.id for request in reversed(requests)]
        assert len(to.store.slowest(Filter(service=to.service, limit=450))) == 450

    def test_old_and_future_spans_are_found_by_their_times(self, to: Traces) -> None:
        now = time.time_ns()
        old, ahead, present = Request(now - 30 * DAY), Request(now + 3 * DAY), Request(now - 60 * S)
        self.sent(to, old, ahead, present)
        assert self.found(to, since=old.start, until=old.start + 1) == [old.id]
        assert self.found(to, since=ahead.start - S, until=ahead.start + S) == [ahead.id]
        assert self.found(to, since=old.start) == [ahead.id, present.id, old.id]
        assert {one.request_id for one in self.period(to, since=old.start)} == {old.id, ahead.id, present.id}

    def test_spans_that_come_late_or_twice_are_a_part_of_their_trace(self, to: Traces) -> None:
        now = time.time_ns() - 60 * S
        one = Request(now)
        self.sent(to, one)
        late = one.add("postprocess", now + S // 2, 0.125)
        to.send(traces(to.service, [late, one.synthesis]))
        (found,) = to.store.find(Filter(service=to.service, request_id=one.id, stage="postprocess"))
        assert found.stages == pytest.approx({"vocoder": 0.25, "postprocess": 0.125})
        assert len(self.period(to, now, now + 1)) == 1

    def test_a_trace_of_ten_thousand_spans(self, to: Traces) -> None:
        now = time.time_ns() - 600 * S
        one = Request(now, seconds=10.0, stages={})
        for number in range(9_998):
            one.add("vocoder", now + number * MS, 0.0005)
        for part in range(0, len(one.spans), 2000):
            to.send(traces(to.service, one.spans[part : part + 2000]))
        answer = to.store.get(one.trace)
        assert answer.complete and len(answer) == 10_000
        (found,) = to.store.find(Filter(service=to.service, stage="vocoder", least_seconds=4.9))
        assert found.stages == pytest.approx({"vocoder": 9_998 * 0.0005})

    def test_a_value_means_only_itself(self, to: Traces) -> None:
        now = time.time_ns() - 60 * S
        requests = [Request(now + number * MS, **{names.VOICE: voice}) for number, voice in enumerate(ODD)]
        self.sent(to, Request(now - S), *requests)
        for voice, request in zip(ODD, requests, strict=True):
            assert self.found(to, voice=voice) == [request.id], voice
        for word in ODD:
            assert self.found(to, engine=word) == []
            assert self.found(to, request_id=word) == []
            assert self.found(to, stage=word, least_seconds=0.1) == []
            answer = to.store.find(replace(Filter(outcome=word), service=word))
            assert answer.complete and answer.items == (), word
