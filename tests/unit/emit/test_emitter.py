# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The queue between requests and telemetry: its bounds, its thread, its end."""

from __future__ import annotations

import re
import threading
import time

import pytest
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from otel_tts import guard
from otel_tts.emit import emitter
from otel_tts.emit.overflow import Overflow
from otel_tts.recording import recorder
from tests.unit.support.world import World


def one(world: World, request_id: str = "r") -> None:
    with world.synthesis(request_id=request_id) as synthesis, synthesis.stage("model"):
        pass


def wait_until(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)
    assert condition()


class Stall(SpanExporter):
    """An exporter that hangs until it is let go."""

    def __init__(self) -> None:
        self.hanging, self.go, self.exported = threading.Event(), threading.Event(), 0

    def export(self, spans) -> SpanExportResult:
        self.hanging.set()
        self.go.wait(30)
        self.exported += len(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.go.set()


@pytest.fixture
def stalled(world):
    """A world whose thread hangs in a SimpleSpanProcessor, with room for 16 records."""
    stall = Stall()
    here = world(interval=0.001, processors=(SimpleSpanProcessor(stall),), queue_size=16)
    one(here)
    assert stall.hanging.wait(20)
    yield here, stall
    stall.go.set()


def test_the_thread_turns_records_into_telemetry_without_being_asked(world) -> None:
    here = world(interval=0.001)
    one(here)
    wait_until(lambda: len(here.lines()) == 3)
    assert here.names() == ["tts.model", "text_to_speech"]


def test_the_thread_reports_what_is_stuck_without_being_asked(world) -> None:
    here = world(interval=0.001, stuck_after=0.1)
    with here.synthesis():
        wait_until(lambda: any("REQ_STUCK" in line for line in here.lines()))


def test_the_queue_is_bounded_and_what_it_drops_is_counted(stalled) -> None:
    here, stall = stalled
    for number in range(100):
        one(here, f"r{number}")
    assert here.emitter.waiting == 16
    assert here.recorder.dropped == {"queue_full": 84}
    assert len(here.recorder.started) <= 16
    assert not here.recorder.open
    assert here.points("otel_tts.dropped") == {("queue_full",): 84}
    stall.go.set()
    wait_until(lambda: not here.emitter.waiting and stall.exported == 2 * 17)
    here.drain()
    assert here.points("tts.requests") == {("e", "ok"): 17}
    assert sum("REQ_START" in line for line in here.lines()) == 17
    assert not guard.faults


def test_what_is_dropped_is_said_at_once_and_again_at_the_end(world, caplog: pytest.LogCaptureFixture) -> None:
    here = world(queue_size=16)
    said = Overflow(here.recorder)

    def counts() -> list[str]:
        return re.findall(r"(\d+) finished requests and stages dropped", caplog.text)

    said.say()
    assert counts() == []
    for number in range(20):
        one(here, f"r{number}")
    said.say()
    assert counts() == ["4"] and "OTEL_TTS_QUEUE_SIZE=16" in caplog.text
    one(here, "later")
    said.say()
    assert counts() == ["4"]
    said.say(last=True)
    said.say(last=True)
    assert counts() == ["4", "5"]


def test_what_is_open_at_the_end_is_counted_and_seen_as_far_as_it_came(world) -> None:
    here = world()
    with here.synthesis() as synthesis:
        with synthesis.stage("model"):
            pass
        with synthesis.stage("vocoder"):
            for _ in range(2):
                here.emitter.close()
            assert here.recorder.dropped == {"open_at_end": 1}
            assert here.names() == ["tts.model"]
            (line,) = (line for line in here.lines() if "REQ_STUCK" in line)
            assert "stage=vocoder" in line
    assert sorted(here.names()) == ["text_to_speech", "tts.model", "tts.vocoder"]  # it had the time after all


def test_late_stages_are_bounded_too(world, clock) -> None:
    here = world(queue_size=16)
    with here.synthesis() as synthesis:
        pass
    here.drain()
    for number in range(20):
        with synthesis.stage(f"s{number}"):
            pass
    assert here.recorder.dropped == {"queue_full": 4}
    here.drain()
    assert len(here.spans) == 17


def test_a_drain_beside_a_stalled_one_gives_up_at_its_time(stalled) -> None:
    here, stall = stalled
    one(here)
    began = time.monotonic()
    assert not here.emitter.drain(timeout=0.05)
    assert not here.tracers.force_flush(50)
    assert time.monotonic() - began < 10
    stall.go.set()
    assert here.emitter.drain(timeout=20)


def test_a_request_beside_a_stalled_exporter_ends_as_ever(stalled) -> None:
    here, stall = stalled
    done = threading.Event()

    def requests() -> None:
        for _ in range(200):
            one(here)
        done.set()

    thread = threading.Thread(target=requests, daemon=True)
    thread.start()
    assert done.wait(20), "a request waited for the exporter"
    assert not stall.go.is_set()


def test_closing_beside_a_stalled_exporter_keeps_to_its_time(stalled) -> None:
    here, _ = stalled
    one(here)
    began = time.monotonic()
    assert not here.emitter.close(timeout=0.05)
    assert time.monotonic() - began < 10


def test_a_closed_recorder_handles_records_at_once(world) -> None:
    here = world()
    assert here.emitter.close()
    one(here)
    assert here.names() == ["tts.model", "text_to_speech"]
    assert here.points("tts.requests") == {("e", "ok"): 1}
    assert [line.split()[1] for line in here.lines()] == ["REQ_START", "REQ_SUCCESS", "STAGE_TIME"]
    with here.synthesis(request_id="r2") as synthesis:
        late = synthesis.stage("vocoder").open()
    late.close()
    with synthesis.stage("postprocess"):
        pass
    assert here.names()[2:] == ["text_to_speech", "tts.vocoder", "tts.postprocess"]
    assert not here.emitter.waiting
    assert not here.recorder.open


def test_after_the_end_a_request_waits_for_no_exporter_that_hangs(stalled, monkeypatch) -> None:
    here, stall = stalled
    monkeypatch.setattr(emitter, "_AT_THE_END_S", 0.05)
    here.emitter.close(timeout=0.05)
    asked = threading.Thread(target=one, args=(here,), daemon=True)
    asked.start()
    asked.join(20)
    assert not asked.is_alive() and not stall.go.is_set()
    assert here.recorder.dropped["closed"] == 1


def test_closing_sends_what_waits_late_stages_too(world) -> None:
    here = world()
    with here.synthesis() as synthesis:
        pass
    with synthesis.stage("postprocess"):
        pass
    assert here.emitter.close()
    assert here.names() == ["text_to_speech", "tts.postprocess"]


def test_closing_ends_the_thread(world) -> None:
    before = set(threading.enumerate())
    here = world(interval=0.001)
    (thread,) = set(threading.enumerate()) - before
    assert (thread.name, thread.daemon) == ("otel-tts", True)
    here.emitter.close()
    thread.join(20)
    assert not thread.is_alive()


def test_records_racing_with_the_end_of_the_recorder_all_leave(world) -> None:
    for _ in range(20):
        here = world()
        ready = threading.Barrier(2)

        def requests(here=here, ready=ready) -> None:
            ready.wait()
            for number in range(20):
                one(here, f"r{number}")

        thread = threading.Thread(target=requests)
        thread.start()
        ready.wait()
        here.emitter.close()
        thread.join()
        assert here.names().count("text_to_speech") == 20


@pytest.mark.parametrize("how", ["force_flush", "shutdown"])
def test_the_providers_flush_and_shutdown_empty_the_queue_first(world, how: str) -> None:
    seen: list[str] = []

    class Last(SpanProcessor):
        def on_end(self, span) -> None:
            seen.append(span.name)

        def shutdown(self) -> None:
            seen.append("shutdown")

        def force_flush(self, timeout_millis: int = 30000) -> bool:
            seen.append("flush")
            return True

    here = world(processors=(Last(),))
    one(here)
    getattr(here.tracers, how)()
    assert seen[:3] == ["tts.model", "text_to_speech", "flush" if how == "force_flush" else "shutdown"]


def test_two_drains_at_a_time_double_nothing(world) -> None:
    here = world()
    for number in range(200):
        one(here, f"r{number}")
        with here.synthesis() as synthesis:
            pass
        with synthesis.stage("postprocess"):
            pass
    threads = [threading.Thread(target=here.emitter.drain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    here.drain()
    ids = [span.get_span_context().span_id for span in here.spans]
    assert len(ids) == len(set(ids)) == 200 * 4
    assert not guard.faults


def test_making_telemetry_makes_no_telemetry(world) -> None:
    from opentelemetry.instrumentation.utils import is_instrumentation_enabled

    enabled: list[bool] = []

    class Looks(SpanProcessor):
        def on_end(self, span) -> None:
            enabled.append(is_instrumentation_enabled())

    here = world(processors=(Looks(),))
    one(here)
    assert is_instrumentation_enabled()
    here.drain()
    assert enabled == [False, False]
    assert is_instrumentation_enabled()


def test_processors_that_are_added_later_are_served(world) -> None:
    started: list[str] = []

    class Starts(SpanProcessor):
        def on_start(self, span, parent_context=None) -> None:
            started.append(span.name)

    here = world()
    one(here)
    here.drain()
    here.tracers.add_span_processor(Starts())
    one(here)
    here.drain()
    assert started == ["tts.model", "text_to_speech"]


def test_the_installed_emitter_and_its_recorder_are_the_current_ones(world) -> None:
    here = world()
    assert recorder.current() is here.recorder
    assert emitter.current() is here.emitter
    emitter.uninstall()
    assert recorder.current() is None and emitter.current() is None


def test_the_first_synthesis_of_an_engine_is_cold(world) -> None:
    here = world()
    for engine in ("a", "a", "b"):
        with here.synthesis(tts__engine__name=engine):
            pass
    here.drain()
    assert [span.attributes.get("tts.cold_start") for span in here.spans] == [True, None, True]
