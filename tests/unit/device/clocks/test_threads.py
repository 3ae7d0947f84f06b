# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Real threads, real time: a device whose kernels take wall time, shared by eight of them and the recorder's own."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from otel_tts import guard, names
from otel_tts.device.torch.graphs import CaptureGuard
from tests.unit.support.clock_kit import CheckedEvents
from tests.unit.support.fakecuda import f32


class Stream:
    def __init__(self) -> None:
        self.tail, self.lock = 0, threading.Lock()


class Event:
    done_at: int


class RealTimeDevice:
    """A kernel ends its duration after the later of now and the end of what its stream has to do."""

    kind = "cuda"

    def __init__(self) -> None:
        self._local = threading.local()

    def is_ready(self) -> bool:
        return True

    def current_stream(self) -> Stream:
        if not hasattr(self._local, "stream"):
            self._local.stream = Stream()
        return self._local.stream

    def device_of(self, stream: Stream) -> int:
        return 0

    def is_capturing(self) -> bool:
        return False

    def new_event(self) -> Event:
        return Event()

    def launch(self, ns: int) -> None:
        stream = self.current_stream()
        with stream.lock:
            stream.tail = max(stream.tail, time.perf_counter_ns() + 4_000) + ns

    def record(self, event: Event, stream: Stream) -> None:
        with stream.lock:
            event.done_at = stream.tail = max(stream.tail, time.perf_counter_ns() + 4_000)

    def query(self, event: Event) -> bool:
        return time.perf_counter_ns() >= event.done_at

    def elapsed_ms(self, start: Event, end: Event) -> float:
        assert self.query(start) and self.query(end)
        return f32((end.done_at - start.done_at) / 1e6)

    def copy_back(self) -> None:
        stream = self.current_stream()
        while (left := stream.tail - time.perf_counter_ns()) > 0:
            time.sleep(left / 1e9)

    def adopt_thread(self) -> None:
        pass


def test_eight_threads_and_the_recorders_own(world: Any) -> None:
    here, device = world(interval=0.003), RealTimeDevice()
    capture_guard = CaptureGuard()
    clock = here.recorder.clock = CheckedEvents(lambda: device, guard=capture_guard)
    threads, requests, errors = 8, 40, []

    def serve(seed: int) -> None:
        choose = random.Random(seed)
        try:
            for number in range(requests):
                with here.synthesis() as synthesis:
                    for name in ("acoustic_model", "vocoder"):
                        with synthesis.stage(name):
                            device.launch(choose.randrange(100_000, 1_000_000))
                    if number % 4:
                        device.copy_back()
                if number % 10 == 5:
                    graph = Stream()
                    capture_guard.begin(graph)
                    time.sleep(0.001)
                    capture_guard.end(graph)
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=serve, args=(seed,)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors
    deadline = time.monotonic() + 10
    while here.emitter.waiting and time.monotonic() < deadline:
        time.sleep(0.01)
    stages = [span for span in here.drain().spans if span.name != "text_to_speech"]
    assert len(stages) == threads * requests * 2 and len({s.context.span_id for s in stages}) == len(stages)
    assert {s.attributes.get(names.TIMING_STATUS) for s in stages} <= {None, "captured"}
    assert len(clock.placed) > len(stages) / 2 and not clock.wrong, clock.wrong[:3]
    assert not guard.faults


def test_a_flush_gives_the_device_a_moment_and_the_end_too(world: Any) -> None:
    for finish in ("flush", "close"):
        here, device = world(), RealTimeDevice()
        here.recorder.clock = CheckedEvents(lambda device=device: device, guard=CaptureGuard())
        with here.synthesis() as synthesis, synthesis.stage("vocoder"):
            device.launch(60_000_000)
        assert here.drain().names() == []
        getattr(here.emitter, finish)(timeout=5)
        span = here.span("tts.vocoder")
        assert span.attributes[names.TIMING_MODE] == "events" and span.end_time - span.start_time > 59_000_000


def test_stages_of_a_kind_side_by_side_count_once(world: Any) -> None:
    here, device = world(), RealTimeDevice()
    here.recorder.clock = CheckedEvents(lambda: device, guard=CaptureGuard())
    with here.synthesis() as synthesis:

        def work() -> None:
            with synthesis.stage("model"):
                device.launch(30_000_000)
            device.copy_back()

        workers = [threading.Thread(target=work) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    spans = [span for span in here.drain().spans if span.name == "tts.model"]
    together = max(span.end_time for span in spans) - min(span.start_time for span in spans)
    ((count, total),) = here.points("tts.stage.duration").values()
    assert count == 1 and total <= together / 1e9 + 1e-6 and total < sum(s.end_time - s.start_time for s in spans) / 1e9


def test_a_capture_waits_for_questions_and_keeps_new_ones_out() -> None:
    capture_guard, graph, order = CaptureGuard(), Stream(), list[str]()
    assert capture_guard.enter()

    def capture() -> None:
        capture_guard.begin(graph)
        order.append("capture")

    capturing = threading.Thread(target=capture)
    capturing.start()
    while not capture_guard.captures:
        time.sleep(0)
    assert not capture_guard.enter()
    order.append("answered")
    capture_guard.leave()
    capturing.join()
    assert order == ["answered", "capture"]
    capture_guard.end(graph)
    assert capture_guard.enter()
    capture_guard.leave()


def test_a_stream_that_is_collected_while_the_clock_is_asked_does_not_wait_for_itself() -> None:
    """Its end asks the clock too, in the same thread: wherever we hold one of the clock's locks."""
    device, guarded = RealTimeDevice(), CaptureGuard()
    clock = CheckedEvents(lambda: device, now=time.perf_counter_ns, guard=guarded)
    assert clock._look()
    clocks = clock._clocks
    first = clocks.epoch(0, device.current_stream(), time.perf_counter_ns()).clock

    def again() -> None:
        with guarded._quiet, clock._found, clocks._lock, first._lock:
            assert guarded.enter()
            guarded.leave()
            assert clock._look()
            clocks._renew(0, device.current_stream(), first)
            first.learn(0.0, 1e12, 0, time.perf_counter_ns())
        done.set()

    done = threading.Event()
    threading.Thread(target=again, daemon=True).start()
    assert done.wait(20)
