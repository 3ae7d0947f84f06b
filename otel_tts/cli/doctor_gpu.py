# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The checks of ``otel-tts doctor --gpu``: what docs/gpu.md claims, put to the test on this machine's device.

Each check uses PyTorch's own tools as the other opinion: its callbacks at every synchronisation, its profiler, its
allocator's peaks, and NVML's power. No setting of the card is changed.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from otel_tts import names
from otel_tts.cli.doctor import FAIL, MEASURED, PASS, SKIP, Check, attempt

_KINETO: Final = 50_000
"""ns by which the profiler's own conversion of clocks may be off."""
_MIB: Final = 1 << 20


def examine_gpu() -> Iterator[Check]:
    """Yield every check, or one line that says why there is none."""
    if (reason := why_not()) is not None:
        yield Check("device", SKIP, f"{reason}; skipped: {', '.join(_CHECKS)}")
        return
    yield from attempt("device", _device)
    for name, check in _CHECKS.items():
        yield from attempt(name, lambda check=check: check(Bench()))


def _module(name: str) -> Any:
    return importlib.import_module(name)


def why_not() -> str | None:
    """Return why there is nothing to check here, None where there is a device."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed"
    torch = _module("torch")
    return None if torch.cuda.is_available() else "PyTorch sees no CUDA device"


class Bench:
    """A small pipeline on the device, and a recorder that keeps what it makes."""

    def __init__(self) -> None:
        self.torch = torch = _module("torch")
        self.device = torch.device("cuda", torch.cuda.current_device())
        torch.zeros(1, device=self.device)
        layers = [torch.nn.Conv1d(256, 256, 15, padding=7) for _ in range(12)]
        self.net: Any = torch.nn.Sequential(*layers).to(self.device).half().eval()

    def recorder(self, clock: str, memory: str = "none") -> tuple[Any, Any]:
        """Return a recorder on that clock and the exporter of its spans."""
        from opentelemetry.metrics import NoOpMeterProvider
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        from otel_tts.emit.recorder import Recorder
        from otel_tts.settings import Settings

        spans = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(spans))
        settings = Settings(clock=clock, memory_events=memory, log_format="none")
        made = Recorder(provider, NoOpMeterProvider(), LoggerProvider(shutdown_on_exit=False), settings, interval=None)
        return made, spans

    def request(self, recorder: Any) -> None:
        """Speak: two stages and the copy to the host, which is the request's own synchronisation."""
        from otel_tts.synthesis import Synthesis

        torch = self.torch
        with Synthesis(recorder, {}) as synthesis, torch.inference_mode():
            with synthesis.stage("acoustic_model"):
                audio = self.net(torch.randn(1, 256, 4000, device=self.device, dtype=torch.half))
            with synthesis.stage("vocoder"):
                audio = self.net(audio)
            audio.float().cpu()


def _device() -> Iterator[Check]:
    torch = _module("torch")
    yield Check("device", MEASURED, f"{torch.cuda.get_device_name()}, torch {torch.__version__}")


def _costs(bench: Bench) -> Iterator[Check]:
    torch = bench.torch
    stream = torch.cuda.current_stream()
    events = [torch.cuda.Event(enable_timing=True) for _ in range(256)]
    for event in events:
        event.record(stream)
    torch.cuda.synchronize()
    turn = iter(range(10**9))
    stats, reset = torch.cuda.memory.memory_stats_as_nested_dict, torch.cuda.memory.reset_peak_memory_stats
    calls: dict[str, Callable[[], Any]] = {
        "record": lambda: events[next(turn) % 256].record(stream),
        "query": events[0].query,
        "elapsed_time": lambda: events[0].elapsed_time(events[1]),
        "current_stream": torch.cuda.current_stream,
        "memory_stats_as_nested_dict": lambda: stats(0),
        "reset_peak_memory_stats": lambda: reset(0),
    }
    costs = ", ".join(f"{name} {_cost(call):.2f}" for name, call in calls.items())
    yield Check("calls", MEASURED, f"{costs} (median µs)")


def _cost(call: Callable[[], Any], times: int = 1000) -> float:
    took: list[int] = []
    for _ in range(times):
        began = time.perf_counter_ns()
        call()
        took.append(time.perf_counter_ns() - began)
    return statistics.median(took) / 1e3


def _events(bench: Bench) -> Iterator[Check]:
    torch = bench.torch
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    torch.cuda._sleep(20_000_000)
    last.record()
    try:
        first.elapsed_time(last)
        yield Check("events", FAIL, "elapsed_time gave a value before the device had passed the event")
    except RuntimeError:
        torch.cuda.synchronize()
        forward, backward = first.elapsed_time(last), last.elapsed_time(first)
        fits = forward > 0 and abs(forward + backward) < 0.01
        yield Check("events", PASS if fits else FAIL, f"{forward:.3f} ms forward, {backward:.3f} ms backward")
    torch.cuda.synchronize()
    first.record()
    time.sleep(0.01)
    last.record()
    torch.cuda.synchronize()
    idle = first.elapsed_time(last)
    yield Check("idle stream", PASS if idle > 9 else FAIL, f"{idle:.2f} ms around 10 ms of the host's: stamped at once")


def _synchronisations(bench: Bench) -> Iterator[Check]:
    """Count with PyTorch's own callbacks; the request's own copy counts in every way alike."""
    torch = bench.torch
    trace = _module("torch.cuda._gpu_trace")
    seen: Counter[str] = Counter()
    trace.register_callback_for_device_synchronization(lambda: seen.update(device=1))

    def count(handle: int) -> None:
        seen.update(handles=1)

    trace.register_callback_for_stream_synchronization(count)
    trace.register_callback_for_event_synchronization(count)
    torch._C._activate_gpu_trace()
    counts: dict[str, int] = {}
    times: dict[str, list[float]] = {"host": [], "events": [], "sync": []}
    recorders = {clock: bench.recorder(clock, "span")[0] for clock in times}
    for made in recorders.values():
        for _ in range(5):
            bench.request(made)
    for _ in range(5):  # taking turns, so that whatever else goes on falls on all
        for clock, made in recorders.items():
            torch.cuda.synchronize()
            seen.clear()
            for _ in range(10):
                began = time.perf_counter_ns()
                bench.request(made)
                times[clock].append((time.perf_counter_ns() - began) / 1e6)
            counts[clock] = counts.get(clock, 0) + seen.total()
            made.drain()
    added = counts["events"] - counts["host"]
    yield Check(
        "synchronisations",
        PASS if added == 0 else FAIL,
        f"{added} added in 50 requests (sync mode: {counts['sync'] - counts['host']})",
    )
    middle = {clock: statistics.median(each) for clock, each in times.items()}
    shown = ", ".join(f"{clock} {took:.3f}" for clock, took in middle.items())
    stage = (middle["events"] - middle["host"]) / 2 * 1e3
    yield Check("request", MEASURED, f"{shown} ms; events cost {stage:.1f} µs a stage more than the host's clock")


def _profiler(bench: Bench) -> Iterator[Check]:
    """Device spans against the kernels that the profiler saw, on the time of day."""
    torch = bench.torch
    profiler = _module("torch.profiler")
    activities = [profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.CUDA]
    made, spans = bench.recorder("events")
    for _ in range(10):
        bench.request(made)
    made.flush(5)
    spans.clear()
    with profiler.profile(activities=activities) as seen:
        bench.request(made)
        torch.cuda.synchronize()
    made.flush(5)
    kernels: list[tuple[int, int]] = [
        (event.start_ns(), event.start_ns() + event.duration_ns())
        for event in seen.profiler.kineto_results.events()
        if event.device_type() == torch.autograd.DeviceType.CUDA
    ]
    stages = [span for span in spans.get_finished_spans() if span.name.startswith(names.STAGE_PREFIX)]
    if not kernels or not all(names.GPU_CLOCK_UNCERTAINTY in span.attributes for span in stages):
        yield Check(
            "profiler", FAIL, f"{len(kernels)} kernels seen, {len(stages)} stages, not all on the device's clock"
        )
        return
    start, end = min(span.start_time for span in stages), max(span.end_time for span in stages)
    claimed = max(span.attributes[names.GPU_CLOCK_UNCERTAINTY] for span in stages) * 1e9 + _KINETO
    work = [kernel for kernel in kernels if sum(kernel) / 2 < end]  # what follows is the copy to the host
    early, late = start - min(k[0] for k in work), max(k[1] for k in work) - end
    fits = early < claimed and late < claimed
    yield Check(
        "profiler",
        PASS if fits else FAIL,
        (
            f"first kernel {-early / 1e3:.1f} µs after the stages' start, last one over {-late / 1e3:.1f} µs before "
            f"their end; claimed {(claimed - _KINETO) / 1e3:.1f} µs, and {_KINETO / 1e3:.0f} for the profiler's clock"
        ),
    )


def _memory(bench: Bench) -> Iterator[Check]:
    from otel_tts.synthesis import Synthesis

    torch = bench.torch
    made, spans = bench.recorder("events", "span")
    bench.request(made)
    torch.cuda.reset_peak_memory_stats()
    with Synthesis(made, {}) as synthesis, synthesis.stage("model"):
        torch.empty(300 * _MIB, dtype=torch.uint8, device=bench.device)
        with synthesis.stage("vocoder"):
            torch.empty(100 * _MIB, dtype=torch.uint8, device=bench.device)
    theirs = torch.cuda.max_memory_allocated()
    made.flush(5)
    ours = {span.name: span.attributes.get(names.MEMORY_PEAK) for span in spans.get_finished_spans()}
    fits = ours.get("tts.model") == theirs and (ours.get("tts.vocoder") or 0) < theirs
    yield Check("peak", PASS if fits else FAIL, f"ours {ours.get('tts.model')}, max_memory_allocated {theirs} bytes")
    try:
        with Synthesis(made, {}) as synthesis, synthesis.stage("model"):
            torch.empty(1 << 50, dtype=torch.uint8, device=bench.device)
    except torch.OutOfMemoryError:
        pass
    made.flush(5)
    last = spans.get_finished_spans()[-1]
    told: dict[str, Any] = dict(last.events[-1].attributes) if last.events else {}
    fits = told.get(names.MEMORY_OOM) is True and told.get(names.MEMORY_REQUESTED, 0) >= 1 << 50
    yield Check("out of memory", PASS if fits else FAIL, f"free {told.get(names.MEMORY_DEVICE_FREE)} bytes were told")
    made.close()


def _capture(bench: Bench) -> Iterator[Check]:
    """A request ends and is looked at while a graph is being captured: neither may spoil the other."""
    torch = bench.torch
    made, spans = bench.recorder("events")
    bench.request(made)
    made.flush(5)
    x = torch.randn(256, 256, device=bench.device)
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):  # warm-up, as torch asks for before a capture
        torch.matmul(x, x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            from otel_tts.synthesis import Synthesis

            with Synthesis(made, {}) as synthesis, synthesis.stage("model"):
                torch.matmul(x, x)
            made.drain()
        graph.replay()
        torch.cuda.synchronize()
    except RuntimeError as error:
        yield Check("capture", FAIL, f"the capture was spoilt: {str(error).splitlines()[0]}")
        return
    made.flush(5)
    status = spans.get_finished_spans()[-2].attributes.get(names.TIMING_STATUS)
    yield Check("capture", PASS, f"the graph was captured and replays; the stage inside says {status!r}")


def _energy(bench: Bench) -> Iterator[Check]:
    from otel_tts.gpu.devices import TorchAllocator
    from otel_tts.gpu.nvml import Nvml, Unavailable

    torch = bench.torch
    try:
        nvml = Nvml()
    except Unavailable as unavailable:
        yield Check("NVML", SKIP, str(unavailable))
        return
    uuid = TorchAllocator(torch).uuid(bench.device.index)
    found = nvml.gpus((uuid,)) if uuid is not None else []
    if not found:
        yield Check("NVML", FAIL, f"no device with torch's UUID {uuid}")
        return
    gpu = found[0]
    readings: list[tuple[float, int, float]] = []
    x = torch.randn(4096, 4096, device=bench.device, dtype=torch.half)
    began = time.perf_counter()
    while time.perf_counter() - began < 5:
        for _ in range(20):
            torch.matmul(x, x)
        torch.cuda.synchronize()
        seen = nvml.look(gpu)
        if seen.energy is not None and seen.power is not None:
            readings.append((seen.at / 1e9, seen.energy, seen.power))
    nvml_cost = _cost(lambda: nvml.look(gpu), 20)
    reserved = torch.cuda.memory_reserved()
    own = nvml.look(gpu).process_memory
    yield Check(
        "NVML", MEASURED, f"one look {nvml_cost:.0f} µs; own memory {own} bytes, of which torch holds {reserved}"
    )
    steps = [b[0] - a[0] for a, b in itertools.pairwise(_moved(readings))]
    if not steps:
        yield Check("energy", SKIP, "the device has no energy counter")
        return
    joules = (readings[-1][1] - readings[0][1]) / 1e3
    watts = statistics.mean(power for _, _, power in readings)
    by_power = watts * (readings[-1][0] - readings[0][0])
    fits = abs(joules / by_power - 1) < 0.25
    yield Check(
        "energy",
        PASS if fits else FAIL,
        (
            f"counter {joules:.0f} J, power x time {by_power:.0f} J; "
            f"the counter moves every {statistics.median(steps) * 1e3:.0f} ms"
        ),
    )
    nvml.close()


def _moved(readings: list[tuple[float, int, float]]) -> list[tuple[float, int, float]]:
    """Return the readings at which the counter was seen to move."""
    return [b for a, b in itertools.pairwise(readings) if b[1] != a[1]]


def _fork(bench: Bench) -> Iterator[Check]:
    made, _ = bench.recorder("events", "span")
    bench.request(made)
    child = os.fork()
    if child == 0:
        from otel_tts.synthesis import Synthesis

        status = 1
        try:
            with Synthesis(made, {}) as synthesis, synthesis.stage("text_frontend"):
                pass
            made.drain()
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    yield Check(
        "fork", PASS if ended == 0 else FAIL, "a child forked after CUDA was used is traced on the host's clock"
    )


_CHECKS: Final[dict[str, Callable[[Bench], Iterator[Check]]]] = {
    "calls": _costs,
    "events": _events,
    "synchronisations": _synchronisations,
    "profiler": _profiler,
    "memory": _memory,
    "capture": _capture,
    "energy": _energy,
    "fork": _fork,
}
