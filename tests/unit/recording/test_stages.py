# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Stages in threads and tasks, after the end, inside each other, and very many of them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading

import pytest
from opentelemetry import trace

from otel_tts import guard
from otel_tts.instrumentation.calls.seam import run_stage
from otel_tts.recording.synthesis import current


@pytest.fixture
def frequent_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def in_threads(count: int, work) -> None:
    """Run `work(number)` in threads that have the caller's context."""
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(guarded, number)) for number in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_stages_racing_with_the_end_are_neither_lost_nor_doubled(world, frequent_switches) -> None:
    requests, threads, each = 60, 3, 4
    here = world(interval=0.001)
    for _ in range(requests):
        with here.synthesis() as synthesis:
            workers = [
                threading.Thread(target=contextvars.copy_context().run, args=(open_stages, synthesis, each))
                for _ in range(threads)
            ]
            for worker in workers:
                worker.start()
        for worker in workers:
            worker.join()
    here.drain()
    ids = [span.get_span_context().span_id for span in here.spans]
    assert len(ids) == len(set(ids)) == requests * (1 + threads * each)
    stages = [span for span in here.spans if span.name == "tts.vocoder"]
    roots = {span.get_span_context().span_id for span in here.spans if span.name == "text_to_speech"}
    assert {stage.parent.span_id for stage in stages} == roots
    assert not guard.faults
    assert not here.recorder.dropped


def open_stages(synthesis, count: int) -> None:
    for _ in range(count):
        with synthesis.stage("vocoder"):
            pass


def test_parallel_stages_in_threads_each_know_their_parent(world, frequent_switches) -> None:
    here = world()
    with here.synthesis() as synthesis:

        def nest(number: int) -> None:
            with synthesis.stage(f"outer{number}"), synthesis.stage(f"inner{number}"):
                pass

        in_threads(8, nest)
    here.drain()
    for number in range(8):
        inner, outer = here.span(f"tts.inner{number}"), here.span(f"tts.outer{number}")
        assert inner.parent == outer.get_span_context()
        assert outer.parent == synthesis.get_span_context()


def test_a_stage_in_a_thread_without_our_context_still_belongs_to_its_synthesis(world) -> None:
    here = world()
    elsewhere = here.tracers.get_tracer("app")
    with here.synthesis() as synthesis:

        def bare() -> None:
            with synthesis.stage("vocoder"):
                pass
            foreign = elsewhere.start_as_current_span("foreign")
            with foreign, synthesis.stage("postprocess"), elsewhere.start_as_current_span("inside"):
                pass

        thread = threading.Thread(target=contextvars.Context().run, args=(bare,))
        thread.start()
        thread.join()
    here.drain()
    assert here.span("tts.vocoder").parent == synthesis.get_span_context()
    assert here.span("tts.postprocess").parent == synthesis.get_span_context()
    assert here.span("inside").parent == here.span("tts.postprocess").get_span_context()
    assert here.span("foreign").parent is None
    assert here.span("foreign").get_span_context().trace_id != synthesis.get_span_context().trace_id


def test_a_task_that_outlives_the_request_gets_its_stage_out_too(world) -> None:
    here = world()

    async def main() -> None:
        ended = asyncio.Event()

        async def background() -> None:
            await ended.wait()
            trace.get_current_span().set_attribute("late", 1)
            with here.tracers.get_tracer("app").start_as_current_span("child"):
                pass
            with synthesis.stage("postprocess"):
                assert current() is None

        with here.synthesis() as synthesis, synthesis.stage("vocoder"):
            task = asyncio.create_task(background())
        here.drain()
        ended.set()
        await task

    asyncio.run(main())
    here.drain()
    vocoder = here.span("tts.vocoder")
    assert "late" not in vocoder.attributes
    assert here.span("child").parent == vocoder.get_span_context()
    assert here.span("tts.postprocess").parent == vocoder.get_span_context()
    assert here.names().count("text_to_speech") == 1


def test_a_stage_that_is_open_at_the_end_leaves_alone_and_is_counted_once(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis:
        late = synthesis.stage("postprocess")
        late.open()
        clock.tick(0.1)
    clock.tick(0.1)
    here.drain()
    assert here.names() == ["text_to_speech"]
    late.close()
    here.drain()
    assert here.names() == ["text_to_speech", "tts.postprocess"]
    assert here.points("tts.stage.duration") == {("e", "postprocess"): (1, 0.2)}


def test_a_late_stage_before_the_drain_is_counted_once(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis:
        pass
    with synthesis.stage("postprocess"):
        clock.tick(0.1)
    here.drain()
    assert here.names() == ["text_to_speech", "tts.postprocess"]
    assert here.points("tts.stage.duration") == {("e", "postprocess"): (1, 0.1)}


def test_late_stages_of_a_kind_wait_for_each_other(world, clock) -> None:
    """A file written chunk by chunk after the synthesis is one span and one point."""
    here = world()
    with here.synthesis() as synthesis:
        pass
    here.drain()
    for _ in range(5):
        run_stage("postprocess", clock.tick, (0.1,), {}, synthesis=synthesis, fold=True)
        here.emitter.drain(late_after=1.0)
        clock.tick(0.05)
    assert here.names() == ["text_to_speech"]
    clock.tick(1.0)
    here.emitter.drain(late_after=1.0)
    stage = here.shown_spans()[-1]
    assert (stage["name"], stage["ms"]) == ("tts.postprocess", (600.0, 700.0))
    assert stage["attributes"]["tts.stage.segments"] == 5
    assert stage["attributes"]["tts.stage.host_duration"] == pytest.approx(0.5)
    assert here.points("tts.stage.duration") == {("e", "postprocess"): (1, 0.5)}


def test_a_synthesis_inside_another_is_its_child(world) -> None:
    here = world()
    with here.synthesis(gen_ai__request__model="outer") as outer, outer.stage("model") as stage:
        with here.synthesis(gen_ai__request__model="inner", request_id="r2") as inner, inner.stage("model"):
            assert current() is inner
        assert current() is outer
    here.drain()
    assert len(here.spans) == 4
    assert here.span("text_to_speech inner").parent == stage.get_span_context()
    assert here.span("text_to_speech outer").parent is None
    assert here.points("tts.requests").keys() == {("inner", "e", "ok"), ("outer", "e", "ok")}


# --- sums and folding ------------------------------------------------------------------------------------


def test_nested_stages_of_a_kind_count_once(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis, synthesis.stage("model"):
        clock.tick(0.1)
        for _ in range(2):
            with synthesis.stage("model"):
                clock.tick(0.1)
        clock.tick(0.1)
    assert synthesis.stages.sums == {"model": 400_000_000}
    here.drain()
    assert here.points("tts.stage.duration") == {("e", "model"): (1, 0.4)}


def test_overlapping_stages_of_a_kind_count_once(world, clock) -> None:
    """Chained over threads, each opened before the one before it ends: the time when any was open."""
    here = world()
    with here.synthesis() as synthesis:
        before = synthesis.stage("vocoder").open()
        for _ in range(4):
            clock.tick(0.1)
            after = synthesis.stage("vocoder").open()
            clock.tick(0.1)
            before.close()
            before = after
        clock.tick(0.1)
        before.close()
        clock.tick(1.0)
        with synthesis.stage("vocoder"):
            clock.tick(0.1)
    assert synthesis.stages.sums == {"vocoder": 1_000_000_000}


def test_segments_are_repetitions_of_the_maker_in_threads_too(world) -> None:
    here = world()
    with here.synthesis() as synthesis, synthesis.stage("queue"):
        pass
    barrier = threading.Barrier(3)
    with here.synthesis(request_id="r2") as synthesis:

        def segment(_: int) -> None:
            with synthesis.stage("acoustic_model"):
                barrier.wait()
                with synthesis.stage("acoustic_model"):
                    pass
            with synthesis.stage("vocoder"):
                pass

        in_threads(3, segment)
    first, second = [span for span in here.drain().spans if span.name == "text_to_speech"]
    assert "tts.segment.count" not in first.attributes
    assert second.attributes["tts.segment.count"] == 3


def test_stages_beyond_the_limit_fold_into_one_a_kind(world, clock) -> None:
    here = world(max_stage_spans=4)
    with here.synthesis() as synthesis:
        for _ in range(20):
            with synthesis.stage("acoustic_model"):
                clock.tick(0.010)
            with synthesis.stage("vocoder"):
                clock.tick(0.001)
    here.drain()
    names = here.names()
    assert names.count("tts.acoustic_model") == names.count("tts.vocoder") == 3
    folded = [span for span in here.shown_spans() if "tts.stage.segments" in span["attributes"]]
    assert {
        span["name"]: (span["ms"], span["attributes"]["tts.stage.segments"], round(took, 6))
        for span in folded
        if (took := span["attributes"]["tts.stage.host_duration"])
    } == {
        "tts.acoustic_model": ((22.0, 219.0), 18, 0.18),
        "tts.vocoder": ((32.0, 220.0), 18, 0.018),
    }
    assert here.points("tts.stage.duration") == {
        ("e", "acoustic_model"): (1, 0.2), ("e", "vocoder"): (1, 0.02),
    }  # fmt: skip
    assert here.span("text_to_speech").attributes["tts.segment.count"] == 20


def test_the_number_of_spans_does_not_grow_with_the_number_of_stages(world) -> None:
    here = world(max_stage_spans=8)
    for count in (100, 1000):
        here.span_memory.clear()
        with here.synthesis() as synthesis:
            for number in range(count):
                with synthesis.stage(("model", "vocoder", "postprocess")[number % 3]):
                    pass
        assert len(here.drain().spans) == 8 + 3 + 1


def test_stages_that_always_fold_are_one_span_that_overlaps_no_other(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis:
        for _ in range(3):
            with synthesis.stage("model"):
                clock.tick(0.010)
            run_stage("postprocess", clock.tick, (0.002,), {}, fold=True)
    spans = here.drain().shown_spans()
    (folded,) = [span for span in spans if span["name"] == "tts.postprocess"]
    assert folded["attributes"]["tts.stage.segments"] == 3
    assert folded["attributes"]["tts.stage.host_duration"] == pytest.approx(0.006)
    others = [span["ms"] for span in spans if span["name"] == "tts.model"]
    for start, end in others:
        assert end <= folded["ms"][0] or start >= folded["ms"][1]


def test_folding_in_threads_loses_no_count(world, frequent_switches) -> None:
    here = world(max_stage_spans=1)
    with here.synthesis() as synthesis:
        with synthesis.stage("model"):
            pass
        with synthesis.stage("vocoder"):
            pass
        for _ in range(30):  # one at a time in changing threads, as a pool would
            in_threads(1, lambda _: open_stages(synthesis, 1))
    here.drain()
    (folded,) = [span for span in here.spans if span.name == "tts.vocoder"]
    assert folded.attributes["tts.stage.segments"] == 31


def test_requests_leave_nothing_to_the_cyclic_collector(world) -> None:
    from otel_tts.recording import request

    here = world(max_stage_spans=2)

    def one() -> None:
        token = request.current.set(request.Request("r", 0))
        with here.synthesis() as synthesis:
            for _ in range(4):
                with synthesis.stage("model"), synthesis.stage("vocoder"):
                    pass
            synthesis.audio([0.0] * 100, 16000)
        with synthesis.stage("postprocess"):
            pass
        request.current.reset(token)
        here.drain()
        here.span_memory.clear()
        here.log_memory.clear()

    for _ in range(5):
        one()
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            one()
        assert gc.collect() < 50
    finally:
        gc.enable()
