# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OTEL_TTS_KEEP: a trace leaves whole or not at all; what is worth a look always does, and what does not is counted."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from otel_tts.emit import keep
from otel_tts.otel_private import providers
from tests.unit.support.world import Foreign, World

Make = Callable[..., World]


@pytest.fixture
def none(world: Make) -> World:
    """Nothing is kept but what is worth a look."""
    return world(keep=0.0, keep_slow=1.0, keep_late=0.5)


def serve(here: World, inside: Callable[[], None] = lambda: None, parent: Context | None = None) -> Any:
    """A request with a server span of the SDK around one synthesis of one stage; `inside` runs in the stage."""
    tracer = here.tracers.get_tracer("web")
    with tracer.start_as_current_span("POST /speak", context=parent, kind=SpanKind.SERVER) as server:
        with tracer.start_as_current_span("SELECT voices"):
            pass
        with here.synthesis() as synthesis, synthesis.stage("model"):
            inside()
    return server


def end(here: World) -> list[str]:
    """Make spans of what has ended, let the time pass after which traces are over, and name what left."""
    here.drain()
    if here.emitter.keep is not None:
        here.emitter.keep._now = lambda: time.monotonic() + keep.GRACE_S + 1
        here.emitter.look_at_traces()
        here.emitter.keep._now = time.monotonic
    return here.names()


def fail() -> None:
    raise RuntimeError


ALL = ["POST /speak", "SELECT voices", "text_to_speech", "tts.model"]


def test_everything_leaves_without_the_setting(world: Make) -> None:
    here = world()
    assert here.emitter.keep is None
    serve(here)
    assert sorted(end(here)) == ALL


def test_a_request_that_went_well_does_not_leave_and_is_counted(none: World) -> None:
    serve(none)
    assert end(none) == []
    assert none.points("otel_tts.not_kept") == {("share",): 4}
    assert none.points("tts.requests") != {}  # metrics and lines are whole
    assert len(none.lines()) == 3


def test_one_that_failed_leaves_whole(none: World) -> None:
    with pytest.raises(RuntimeError):
        serve(none, fail)
    assert sorted(end(none)) == ALL
    assert none.points("otel_tts.not_kept") == {}


@pytest.mark.parametrize(
    "facts",
    [
        {"tts.outcome": "anomalous"},
        {"tts.audio.anomaly": ("clipped",)},
        {"tts.device.fallback": True},
        {"tts.time_to_first_audio": 0.6},
    ],
    ids=lambda facts: next(iter(facts)),
)
def test_one_whose_audio_was_late_or_wrong_leaves_whole(none: World, facts: dict[str, Any]) -> None:
    tracer = none.tracers.get_tracer("web")
    with tracer.start_as_current_span("POST /speak"), none.synthesis() as synthesis:
        for name, value in facts.items():
            synthesis.attrs[name] = value
    assert sorted(end(none)) == ["POST /speak", "text_to_speech"]


@pytest.mark.parametrize("slow", ["POST /speak", "tts.vocoder"])
def test_one_that_was_slow_leaves_whole(none: World, slow: str) -> None:
    tracer, began = none.tracers.get_tracer("web"), time.time_ns()
    root = tracer.start_span("POST /speak", start_time=began)
    child = tracer.start_span("tts.vocoder", trace.set_span_in_context(root), start_time=began)
    child.end(began + (2 if slow == "tts.vocoder" else 0) * 10**9)
    root.end(began + (2 if slow == "POST /speak" else 0) * 10**9)
    assert sorted(end(none)) == ["POST /speak", "tts.vocoder"]


def test_an_error_of_another_span_of_the_trace_is_enough(none: World) -> None:
    serve(none, lambda: trace.get_current_span())
    tracer = none.tracers.get_tracer("web")
    with tracer.start_as_current_span("POST /speak"):
        with none.synthesis():
            pass
        with tracer.start_as_current_span("PUT object") as span:
            span.set_status(StatusCode.ERROR)
    assert sorted(end(none)) == ["POST /speak", "PUT object", "text_to_speech"]


@pytest.mark.parametrize("sampled", [True, False])
def test_a_callers_flag_is_kept(none: World, sampled: bool) -> None:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else 0)
    caller = trace.set_span_in_context(NonRecordingSpan(SpanContext(77, 7, True, flags)), Context())
    serve(none, parent=caller)
    assert sorted(end(none)) == (ALL if sampled else [])


def test_a_callers_flag_is_kept_without_a_server_span(none: World) -> None:
    flags = TraceFlags(TraceFlags.SAMPLED)
    caller = trace.set_span_in_context(NonRecordingSpan(SpanContext(77, 7, True, flags)), Context())
    synthesis = none.synthesis().start(caller)
    with synthesis.stage("model"):
        pass
    synthesis.finish()
    assert end(none) == ["tts.model", "text_to_speech"]


def test_a_share_leaves_by_trace_id(world: Make) -> None:
    tracers = TracerProvider(id_generator=RandomIdGenerator(), shutdown_on_exit=False)
    here = world(keep=0.25, tracer_provider=tracers)
    servers = [serve(here) for _ in range(200)]
    end(here)
    left = {span.context.trace_id for span in here.spans}
    assert 20 < len(left) < 90
    assert left == {s.context.trace_id for s in servers if (s.context.trace_id & (2**64 - 1)) < 2**62}
    assert len(here.spans) == 4 * len(left)


def test_exemplars_lead_to_traces_that_are_kept(none: World) -> None:
    serve(none)
    with pytest.raises(RuntimeError):
        serve(none, fail)
    end(none)
    kept = {span.context.trace_id for span in none.spans}
    named = [e.trace_id for point in none.raw_points("tts.request.duration") for e in point.exemplars]
    assert set(named) == kept
    assert sum(point.count for point in none.raw_points("tts.request.duration")) == 2


def test_what_is_open_is_waited_for(none: World) -> None:
    """A span of the SDK, a synthesis, a job in a queue: each may still turn out to be worth a look."""
    tracer = none.tracers.get_tracer("web")
    root = tracer.start_span("POST /speak")
    inside = trace.set_span_in_context(root)
    tracer.start_span("SELECT voices", inside).end()
    assert end(none) == []
    synthesis = none.synthesis().start(inside)
    root.end()
    assert end(none) == []
    assert none.points("otel_tts.not_kept") == {}
    synthesis.finish(RuntimeError())
    assert sorted(end(none)) == ["POST /speak", "SELECT voices", "text_to_speech"]


def test_a_job_that_waits_in_a_queue_is_waited_for(none: World) -> None:
    from otel_tts.instrumentation.libraries.queued_job import Job

    tracer = none.tracers.get_tracer("web")
    with tracer.start_as_current_span("POST /queue/join"):
        job = Job(fail, "speak", "job-1")
    assert end(none) == []
    assert none.points("otel_tts.not_kept") == {}
    job.end()
    end(none)
    assert none.points("otel_tts.not_kept") == {("share",): 1}


def test_a_stuck_request_leaves_before_its_end(world: Make) -> None:
    here = world(keep=0.0, stuck_after=0.1)
    with here.synthesis() as synthesis:
        with synthesis.stage("text_frontend"):
            pass
        time.sleep(0.2)
        here.emitter.report_stuck()
        assert here.names() == ["tts.text_frontend"]


def test_a_late_span_of_a_kept_trace_leaves(none: World) -> None:
    with pytest.raises(RuntimeError):
        server = serve(none, fail)
    server = none.spans[0] if none.drain().spans else None
    assert server is not None
    above = trace.set_span_in_context(NonRecordingSpan(server.context))
    none.tracers.get_tracer("web").start_span("PUT object", above).end()
    assert "PUT object" in end(none)


def test_what_waits_is_bounded_and_what_it_costs_is_counted(none: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "MOST_SPANS", 40)
    for _ in range(50):
        serve(none)
    end(none)
    assert none.points("otel_tts.not_kept") == {("full",): 200 - 40, ("share",): 40}


def test_at_the_end_what_waits_is_counted_and_what_comes_still_is_decided(none: World) -> None:
    serve(none)
    none.drain()
    none.tracers.shutdown()
    assert none.points("otel_tts.not_kept") == {("share",): 4}
    with pytest.raises(RuntimeError):
        serve(none, fail)
    serve(none)
    assert none.points("otel_tts.not_kept") == {
        ("share",): 9
    }  # of the one that failed its first span is not worth a look


def test_it_is_the_same_where_spans_go_through_the_sdk(world: Make) -> None:
    here = world(keep=0.0, processors=(Foreign(),))
    serve(here)
    with pytest.raises(RuntimeError):
        serve(here, fail)
    assert sorted(end(here)) == ALL
    assert here.points("otel_tts.not_kept") == {("share",): 4}


def test_many_threads(none: World) -> None:
    def speak() -> None:
        for number in range(50):
            try:
                serve(none, fail if number % 10 == 0 else lambda: None)
            except RuntimeError:
                pass

    threads = [threading.Thread(target=speak) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(end(none)) == 8 * 5 * 4
    assert none.points("otel_tts.not_kept") == {("share",): 8 * 45 * 4}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_forked_child_does_not_send_what_its_parent_holds(none: World) -> None:
    server = serve(none)
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            assert none.emitter.keep is not None
            none.emitter.keep.keep(server.context.trace_id)
            left = [span.name for span in none.span_memory.get_finished_spans()]
            os.write(write, ",".join(left).encode() or b"nothing")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 1000) == b"nothing"


def test_an_absurd_value_of_the_services_own_hurts_nobody(none: World) -> None:
    with none.tracers.get_tracer("web").start_as_current_span("odd") as span:
        span.set_attribute("tts.time_to_first_audio", "soon")
    assert end(none) == []


def test_a_flush_decides_what_is_over_and_nothing_else(none: World) -> None:
    serve(none)
    tracer = none.tracers.get_tracer("web")
    with tracer.start_as_current_span("POST /speak") as server:
        tracer.start_span("SELECT voices").end()
        assert none.tracers.force_flush()
        assert none.points("otel_tts.not_kept") == {("share",): 4}
        server.set_status(StatusCode.ERROR)
    assert sorted(none.names()) == ["POST /speak", "SELECT voices"]


def test_what_stands_behind_is_found_by_others(none: World) -> None:
    """By the privacy gate, by who counts losses, by who renews threads after a fork."""
    found = providers.span_processors(none.tracers)
    assert [type(one).__name__ for one in found] == ["FlushFirst", "Keep", "SimpleSpanProcessor"]
    assert providers.exporter_of(found[-1]) is none.span_memory
