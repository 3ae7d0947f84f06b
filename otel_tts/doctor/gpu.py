# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The checks of ``otel-tts doctor --gpu``: what docs/gpu.md claims, put to the test on this machine's device.

Each check uses PyTorch's own tools as the other opinion: its callbacks at every synchronisation, its profiler, its
allocator's peaks, and NVML's power. No setting of the card is changed.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from otel_tts import names
from otel_tts.doctor.bench import Bench, module
from otel_tts.doctor.broken_device import captures, sticky
from otel_tts.doctor.check import FAIL, MEASURED, PASS, SKIP, Check, attempt
from otel_tts.doctor.clock import clock, concurrent

_KINETO_NS: Final = 50_000
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


def why_not() -> str | None:
    """Return why there is nothing to check here, None where there is a device."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed"
    torch = module("torch")
    return None if torch.cuda.is_available() else "PyTorch sees no CUDA device"


def _device() -> Iterator[Check]:
    torch = module("torch")
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
    counts: Counter[str] = Counter()
    times: dict[str, list[float]] = {"host": [], "events": [], "sync": []}
    recorders = {clock: bench.recorder(clock, "span")[0] for clock in times}
    for made in recorders.values():
        for _ in range(5):
            bench.request(made)
    for _ in range(5):  # taking turns, so that whatever else goes on falls on all
        for mode, made in recorders.items():
            bench.wait()
            with bench.counting() as seen:
                for _ in range(10):
                    began = bench.now()
                    bench.request(made)
                    times[mode].append((bench.now() - began) / 1e6)
            counts[mode] += seen.total()
            made.taker.drain()
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
    profiler = module("torch.profiler")
    activities = [profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.CUDA]
    made, spans = bench.recorder("events")
    for _ in range(10):
        bench.request(made)
    made.taker.flush(5)
    spans.clear()
    with profiler.profile(activities=activities) as seen:
        bench.request(made)
        torch.cuda.synchronize()
    made.taker.flush(5)
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
    claimed = max(span.attributes[names.GPU_CLOCK_UNCERTAINTY] for span in stages) * 1e9 + _KINETO_NS
    work = [kernel for kernel in kernels if sum(kernel) / 2 < end]  # what follows is the copy to the host
    early, late = start - min(k[0] for k in work), max(k[1] for k in work) - end
    fits = early < claimed and late < claimed
    yield Check(
        "profiler",
        PASS if fits else FAIL,
        (
            f"first kernel {-early / 1e3:.1f} µs after the stages' start, last one over {-late / 1e3:.1f} µs before "
            f"their end; claimed {(claimed - _KINETO_NS) / 1e3:.1f} µs, "
            f"and {_KINETO_NS / 1e3:.0f} for the profiler's clock"
        ),
    )


def _memory(bench: Bench) -> Iterator[Check]:
    from otel_tts.recording.synthesis import Synthesis

    torch = bench.torch
    made, spans = bench.recorder("events", "span")
    bench.request(made)
    torch.cuda.reset_peak_memory_stats()
    with Synthesis(made, {}) as synthesis, synthesis.stage("model"):
        torch.empty(300 * _MIB, dtype=torch.uint8, device=bench.device)
        with synthesis.stage("vocoder"):
            torch.empty(100 * _MIB, dtype=torch.uint8, device=bench.device)
    theirs = torch.cuda.max_memory_allocated()
    made.taker.flush(5)
    ours = {span.name: span.attributes.get(names.MEMORY_PEAK) for span in spans.get_finished_spans()}
    fits = ours.get("tts.model") == theirs and (ours.get("tts.vocoder") or 0) < theirs
    yield Check("peak", PASS if fits else FAIL, f"ours {ours.get('tts.model')}, max_memory_allocated {theirs} bytes")
    try:
        with Synthesis(made, {}) as synthesis, synthesis.stage("model"):
            torch.empty(1 << 50, dtype=torch.uint8, device=bench.device)
    except torch.OutOfMemoryError:
        pass
    made.taker.flush(5)
    last = spans.get_finished_spans()[-1]
    told: dict[str, Any] = dict(last.events[-1].attributes) if last.events else {}
    fits = told.get(names.MEMORY_OOM) is True and told.get(names.MEMORY_REQUESTED, 0) >= 1 << 50
    yield Check("out of memory", PASS if fits else FAIL, f"free {told.get(names.MEMORY_DEVICE_FREE)} bytes were told")
    made.taker.close()


def _energy(bench: Bench) -> Iterator[Check]:
    from otel_tts.device.power.nvml import Nvml, Unavailable
    from otel_tts.device.torch.allocator import TorchAllocator

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
    yield Check("NVML", MEASURED, f"one look {nvml_cost:.0f} µs")
    yield memory_sums(nvml, gpu, torch.cuda.memory_reserved())
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


def memory_sums(nvml: Any, gpu: Any, held: int) -> Check:
    """What the driver says of the device's memory in both versions, against itself and the bytes that torch holds."""
    api: Any = nvml._n
    try:
        first = api.nvmlDeviceGetMemoryInfo(gpu.handle)
        second = api.nvmlDeviceGetMemoryInfo(gpu.handle, api.nvmlMemory_v2)
    except Exception as error:
        return Check("memory sums", SKIP, f"the driver does not tell both versions: {type(error).__name__}")
    own = nvml.look(gpu).process_memory
    wrong: list[str] = []
    if first.used + first.free != first.total:
        wrong.append("version 1: used and free are not the total")
    if second.used + second.free + second.reserved != second.total:
        wrong.append("version 2: used, free and reserved are not the total")
    if own is not None and not held <= own <= first.used:
        wrong.append(f"the process's own {own} bytes are not between torch's {held} and the device's {first.used}")
    reserve = "with" if abs(first.used - second.used - second.reserved) <= abs(first.used - second.used) else "without"
    told = (
        f"version 1 counts {first.used} bytes used, {reserve} the driver's {second.reserved}; version 2 {second.used}; "
        f"own {own}, of which torch holds {held}"
    )
    return Check("memory sums", FAIL if wrong else PASS, "; ".join([*wrong, told]))


def _moved(readings: list[tuple[float, int, float]]) -> list[tuple[float, int, float]]:
    """Return the readings at which the counter was seen to move."""
    return [b for a, b in itertools.pairwise(readings) if b[1] != a[1]]


def _fork(bench: Bench) -> Iterator[Check]:
    made, _ = bench.recorder("events", "span")
    bench.request(made)
    child = os.fork()
    if child == 0:
        from otel_tts.recording.synthesis import Synthesis

        status = 1
        try:
            with Synthesis(made, {}) as synthesis, synthesis.stage("text_frontend"):
                pass
            made.taker.drain()
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
    "clock": clock,
    "synchronisations": _synchronisations,
    "concurrent requests": concurrent,
    "profiler": _profiler,
    "memory": _memory,
    "energy": _energy,
    "fork": _fork,
    "capture": captures,
    "sticky error": sticky,
}
