# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What one stage costs on the request's path: ``python -m tests.bench.stage_cost ROUNDS`` answers with JSON.

The yardstick is a span of the SDK with the same attributes and the same memory event. torch is a stand-in; what its own
calls cost is measured beside and taken off. Everything of ours is real: clock, backend, events' pool, allocator, peak
windows. A request with many stages less one with none, divided by their number; rounds of all ways take turns, and the
middle of each counts, so that whatever else the machine does falls on all.
"""

from __future__ import annotations

import collections
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

import otel_tts
from tests.bench.inside import Kept
from tests.bench.plain_names import names

STAGES, REQUESTS = 20, 40
STAGE = "acoustic_model"
MIB = 1 << 20

Way = tuple[Callable[[int], None], Callable[[], object]]
"""A request with so many stages, and what empties the queue behind it, off the path."""

MEMORY: dict[str, Any] = {
    names.MEMORY_ALLOCATED: 123 * MIB,
    names.MEMORY_RESERVED: 456 * MIB,
    names.MEMORY_PEAK: 234 * MIB,
    names.MEMORY_ALLOCATED_DELTA: MIB,
    names.MEMORY_SLACK_RATIO: 0.7303,
    names.MEMORY_ATTRIBUTION: "exclusive",
    names.HW_ID: "GPU-00000000-0000-0000-0000-000000000000",
}
ATTRIBUTES: dict[str, Any] = {
    names.STAGE: STAGE,
    names.TIMING_MODE: "events",
    names.STAGE_HOST_DURATION: 0.0021,
    names.GPU_ELAPSED: 0.04,
    names.GPU_QUEUE_DELAY: 0.008,
    names.GPU_CLOCK_UNCERTAINTY: 8e-6,
    names.HW_ID: "GPU-00000000-0000-0000-0000-000000000000",
    names.MEMORY_PEAK: 234 * MIB,
}


class _Event:
    """Passed as soon as it is recorded."""

    def __init__(self, enable_timing: bool) -> None:
        self.at = 0

    def record(self, stream: Any) -> None:
        self.at = time.perf_counter_ns()

    def query(self) -> bool:
        return True

    def elapsed_time(self, end: _Event) -> float:
        return (end.at - self.at) / 1e6


def _always(value: Any) -> Callable[..., Any]:
    """A function in C that returns `value` whatever it is given."""
    return partial(next, itertools.repeat(value))


def _stats(allocated: int, peak: int, asked: int) -> dict[str, Any]:
    levels = {"allocated_bytes": allocated, "reserved_bytes": 456 * MIB, "active_bytes": allocated}
    found: dict[str, Any] = {
        name: {"all": {"current": now, "peak": max(now, peak), "allocated": asked, "freed": 0}}
        for name, now in levels.items()
    }
    return {**found, "num_ooms": 0, "num_alloc_retries": 0, "num_device_alloc": 7, "num_device_free": 0}


class FreeTorch(ModuleType):
    """As much of torch as a stage needs.

    A stage's peak is above its end; what it leaves is freed before the next.
    """

    def __init__(self) -> None:
        super().__init__("torch")
        device = SimpleNamespace(uuid=ATTRIBUTES[names.HW_ID], name="NVIDIA Stub")
        ends = itertools.cycle((_stats(122 * MIB, 123 * MIB, 0), _stats(123 * MIB, 234 * MIB, MIB)))
        self.version = SimpleNamespace(cuda="13.0", hip=None)
        self._C = SimpleNamespace()
        memory: Any = ModuleType("torch.cuda.memory")
        memory.memory_stats_as_nested_dict = partial(next, ends)
        memory.reset_peak_memory_stats = _always(None)
        self.cuda: Any = ModuleType("torch.cuda")
        self.cuda.memory = memory
        self.cuda.Event = _Event
        self.cuda.is_initialized = _always(True)
        self.cuda.is_current_stream_capturing = _always(False)
        self.cuda.current_stream = _always(SimpleNamespace(device_index=0))
        self.cuda.current_device, self.cuda.device_count = _always(0), _always(1)
        self.cuda.get_device_properties = _always(device)


class SpanQueue(SpanProcessor):
    """Takes ended spans as a batch processor does, which holds them until the next export."""

    late_safe = True

    def __init__(self) -> None:
        self.spans: collections.deque[ReadableSpan] = collections.deque()

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def ways() -> dict[str, Way]:
    """All that is compared. `host` is without a device, as on a machine that has none."""
    return {
        "sdk": _sdk(MEMORY),
        "sdk without event": _sdk(None),
        "host": _ours("host"),
        "auto, no device": _ours("auto"),
        "host+memory": _ours("host", FreeTorch()),
        "events": _ours("events", FreeTorch(), memory_events="none"),
        "events+memory": _ours("events", FreeTorch()),
        CLOCK: _clock_calls(FreeTorch()),
        ALLOCATOR: _allocator_calls(FreeTorch()),
    }


CLOCK, ALLOCATOR = "the stand-in's clock", "the stand-in's allocator"
TAKEN_OFF = {"host+memory": (ALLOCATOR,), "events": (CLOCK,), "events+memory": (CLOCK, ALLOCATOR)}
"""What is no cost of ours."""


def measure(rounds: int) -> dict[str, Any]:
    """Return µs a stage for each way, and its ratio to the SDK's."""
    compared = ways()
    times: dict[str, list[float]] = {way: [] for way in compared}
    for _ in range(rounds + 2):
        for way, (request, after) in compared.items():
            times[way].append(_per_stage(request, after))
    ours: dict[str, list[float]] = {}
    for way, found in times.items():
        off = [sum(part) for part in zip(*(times[calls] for calls in TAKEN_OFF.get(way, ())), strict=True)]
        ours[way] = [a - b for a, b in itertools.zip_longest(found, off, fillvalue=0.0)][2:]
    return {
        "us": {way: statistics.median(found) for way, found in ours.items()},
        "ratio": {
            way: statistics.median(a / b for a, b in zip(found, ours["sdk"], strict=True))
            for way, found in ours.items()
        },
    }


def _per_stage(request: Callable[[int], None], after: Callable[[], object]) -> float:
    took: dict[int, int] = {}
    for stages in (0, STAGES):
        began = time.thread_time_ns()
        for _ in range(REQUESTS):
            request(stages)
        took[stages] = time.thread_time_ns() - began
        after()
    return (took[STAGES] - took[0]) / REQUESTS / STAGES / 1e3


def _sdk(memory: dict[str, Any] | None) -> Way:
    provider, queue = TracerProvider(shutdown_on_exit=False), SpanQueue()
    provider.add_span_processor(queue)
    tracer = provider.get_tracer("bench")

    def request(stages: int) -> None:
        with tracer.start_as_current_span("request"):
            for _ in range(stages):
                with tracer.start_as_current_span(names.STAGE_PREFIX + STAGE) as span:
                    span.set_attributes(ATTRIBUTES)
                    if memory is not None:
                        span.add_event(names.MEMORY_EVENT, memory)

    return request, queue.spans.clear


def _ours(clock: str, torch: FreeTorch | None = None, **settings: Any) -> Way:
    provider, queue = TracerProvider(shutdown_on_exit=False), SpanQueue()
    provider.add_span_processor(queue)
    chosen = {"clock": clock, "queue_size": 100_000, "max_stage_spans": 1000, **settings}
    kept = Kept(provider, NoOpMeterProvider(), LoggerProvider(shutdown_on_exit=False), **chosen)

    def request(stages: int) -> None:
        kept.install()
        with otel_tts.synthesis("bench-small", engine="bench") as synthesis:
            for _ in range(stages):
                with synthesis.stage(STAGE):
                    pass

    def after() -> None:
        kept.drain()
        queue.spans.clear()

    with _imported(torch):
        request(1)
    kept.drain()
    _check(queue.spans[0], torch is not None, chosen)
    queue.spans.clear()
    return request, after


def _clock_calls(torch: FreeTorch) -> Way:
    """What a stage's clock asks of torch."""
    event, stream = torch.cuda.Event(enable_timing=True), torch.cuda.current_stream()
    capturing, current = torch.cuda.is_current_stream_capturing, torch.cuda.current_stream
    record, query = torch.cuda.Event.record, torch.cuda.Event.query

    def request(stages: int) -> None:
        for _ in range(stages):
            capturing()
            current()
            record(event, stream)
            capturing()
            record(event, stream)
            query(event)

    return request, lambda: None


def _allocator_calls(torch: FreeTorch) -> Way:
    """What a stage's two ends ask of the allocator."""
    stats, reset = torch.cuda.memory.memory_stats_as_nested_dict, torch.cuda.memory.reset_peak_memory_stats

    def request(stages: int) -> None:
        for _ in range(stages):
            stats(0)
            reset(0)
            stats(0)
            reset(0)

    return request, lambda: None


def _check(stage: ReadableSpan, has_device: bool, settings: dict[str, Any]) -> None:
    """What is compared has to be the same: a stage on a device has the attributes and the event of the yardstick."""
    with_events = has_device and settings["clock"] == "events"
    with_memory = has_device and settings.get("memory_events") != "none"
    attributes = set(stage.attributes or ())
    events = {event.name: set(event.attributes or ()) for event in stage.events}
    assert events == ({names.MEMORY_EVENT: set(MEMORY)} if with_memory else {}), events
    assert (names.GPU_ELAPSED in attributes) == with_events, attributes
    assert not (with_events and with_memory) or attributes == set(ATTRIBUTES), attributes


@contextmanager
def _imported(torch: FreeTorch | None) -> Generator[None]:
    if torch is not None:
        sys.modules["torch"] = torch
    try:
        yield
    finally:
        sys.modules.pop("torch", None)


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))), flush=True)
