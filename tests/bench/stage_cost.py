# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What one stage costs on the request's path, against a span of the SDK with the same attributes and memory event.

The device's own calls are free here and the numbers of the memory event come from a table: what is left is Python of
ours. A request with many stages less one with none, divided by their number; rounds of both ways take turns, and the
middle of each counts, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from otel_tts import names
from otel_tts.emit.recorder import Recorder
from otel_tts.settings import Settings
from otel_tts.synthesis import Synthesis
from otel_tts.timing.backend import Finder
from otel_tts.timing.capture_guard import CaptureGuard
from otel_tts.timing.events import Events

STAGES, REQUESTS, ROUNDS = 20, 60, 15
NO_DEVICE = object()
TARGETS = {"events": 0.4, "host": 0.15}

MEMORY: dict[str, Any] = {
    names.MEMORY_ALLOCATED: 123 << 20,
    names.MEMORY_RESERVED: 456 << 20,
    names.MEMORY_PEAK: 234 << 20,
    names.MEMORY_ALLOCATED_DELTA: 1 << 20,
    names.MEMORY_RESERVED_DELTA: 0,
    names.MEMORY_SLACK_RATIO: 0.25,
    names.MEMORY_ATTRIBUTION: "exclusive",
}
ATTRIBUTES: dict[str, Any] = {
    names.STAGE: "acoustic_model",
    names.TIMING_MODE: "events",
    names.STAGE_HOST_DURATION: 0.0021,
    names.GPU_ELAPSED: 0.04,
    names.GPU_QUEUE_DELAY: 0.008,
    names.GPU_CLOCK_UNCERTAINTY: 8e-6,
    names.HW_ID: "GPU-00000000-0000-0000-0000-000000000000",
    names.MEMORY_PEAK: 234 << 20,
}


class FreeDevice:
    """A backend whose calls cost nothing."""

    kind = "cuda"

    class Event:
        __slots__ = ("at",)

    def is_ready(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def current_stream(self) -> Any:
        return self

    def device_of(self, stream: Any) -> int:
        return 0

    def is_capturing(self) -> bool:
        return False

    def new_event(self) -> Any:
        return self.Event()

    def record(self, event: Any, stream: Any) -> None:
        event.at = time.perf_counter_ns()

    def query(self, event: Any) -> bool:
        return True

    def elapsed_ms(self, start: Any, end: Any) -> float:
        return (end.at - start.at) / 1e6


class _Nowhere(SpanProcessor):
    """Takes ended spans as a batch processor does, and forgets them."""

    late_safe = True


def measure() -> dict[str, float]:
    """Return µs a stage for each way, and the ratios to ``sdk`` that `TARGETS` are for: ``events ratio`` with the
    memory event, ``host ratio`` without, since on the host's clock there is none."""
    ways = {
        "sdk": _sdk(MEMORY),
        "sdk without event": _sdk(None),
        "host": _ours(None, None),
        "auto, no device": _ours(NO_DEVICE, None),
        "events": _ours(FreeDevice(), None),
        "events+memory": _ours(FreeDevice(), MEMORY),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, (request, after) in ways.items():
            times[way].append(_per_stage(request, after))
    found = {way: statistics.median(rounds[2:]) for way, rounds in times.items()}
    found["events ratio"] = found["events+memory"] / found["sdk"]
    found["host ratio"] = found["host"] / found["sdk"]
    return {key: round(value, 3) for key, value in found.items()}


def _per_stage(request: Callable[[int], None], after: Callable[[], None]) -> float:
    took: dict[int, int] = {}
    for stages in (0, STAGES):
        began = time.perf_counter_ns()
        for _ in range(REQUESTS):
            request(stages)
        took[stages] = time.perf_counter_ns() - began
        after()
    return (took[STAGES] - took[0]) / REQUESTS / STAGES / 1e3


def _sdk(memory: dict[str, Any] | None) -> tuple[Callable[[int], None], Callable[[], None]]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(_Nowhere())
    tracer = provider.get_tracer("bench")

    def request(stages: int) -> None:
        with tracer.start_as_current_span("request"):
            for _ in range(stages):
                with tracer.start_as_current_span("tts.acoustic_model") as span:
                    span.set_attributes(ATTRIBUTES)
                    if memory is not None:
                        span.add_event(names.MEMORY_EVENT, memory)

    return request, lambda: None


def _ours(device: Any, memory: dict[str, Any] | None) -> tuple[Callable[[int], None], Callable[[], None]]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(_Nowhere())
    settings = Settings(clock="host", log_format="none", queue_size=100_000, max_stage_spans=1000)
    recorder = Recorder(provider, NoOpMeterProvider(), LoggerProvider(shutdown_on_exit=False), settings, interval=None)
    if device is not None:
        recorder.clock = Events(Finder() if device is NO_DEVICE else lambda: device, guard=CaptureGuard())
    assert recorder.settings.max_stage_spans > STAGES

    def request(stages: int) -> None:
        with Synthesis(recorder, {names.ENGINE: "bench"}) as synthesis:
            for _ in range(stages):
                with synthesis.stage("acoustic_model") as stage:
                    if memory is not None:
                        stage.note(names.MEMORY_EVENT, memory)

    def after() -> None:
        recorder.drain(breathe=False)

    return request, after


if __name__ == "__main__":
    for key, value in measure().items():
        print(f"{key:18} {value:8.3f}")
