# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the checks of ``otel-tts doctor --gpu`` do to a device: a small pipeline, and torch's own tools around it."""

from __future__ import annotations

import importlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

_KERNEL: Final = 2_000_000
"""Cycles of the kernel that only takes time."""
_FLUSH_S: Final = 5.0


def module(name: str) -> Any:
    """Import a part of torch where it is asked for: nothing here is needed on a machine without one."""
    return importlib.import_module(name)


class Bench:
    """A small pipeline on the device, and a recorder that keeps what it makes."""

    now: Callable[[], int] = staticmethod(time.perf_counter_ns)
    sleep: Callable[[float], None] = staticmethod(time.sleep)

    def __init__(self) -> None:
        from otel_tts.device.torch.cuda import CudaBackend

        self.torch = torch = module("torch")
        self.device = torch.device("cuda", torch.cuda.current_device())
        torch.zeros(1, device=self.device)
        layers = [torch.nn.Conv1d(256, 256, 15, padding=7) for _ in range(12)]
        self.net: Any = torch.nn.Sequential(*layers).to(self.device).half().eval()
        self.backend: Any = CudaBackend(torch)

        self._traced, self._lock = False, threading.Lock()
        self._counting: list[Counter[str]] = []

    def recorder(self, clock: str, memory: str = "none") -> tuple[Any, Any]:
        """Return a recorder on that clock and the exporter of its spans."""
        from opentelemetry.metrics import NoOpMeterProvider
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        from otel_tts.emit.emitter import Emitter
        from otel_tts.recording.recorder import Recorder
        from otel_tts.settings import Settings

        spans = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(spans))
        settings = Settings(clock=clock, memory_events=memory, log_format="none")
        made = Recorder(provider, settings)
        Emitter(made, provider, NoOpMeterProvider(), LoggerProvider(shutdown_on_exit=False), interval=None)
        return made, spans

    def request(self, recorder: Any) -> None:
        """Speak: two stages and the copy to the host, which is the request's own synchronisation."""
        from otel_tts.recording.synthesis import Synthesis

        torch = self.torch
        with Synthesis(recorder, {}) as synthesis, torch.inference_mode():
            with synthesis.stage("acoustic_model"):
                audio = self.net(torch.randn(1, 256, 4000, device=self.device, dtype=torch.half))
            with synthesis.stage("vocoder"):
                audio = self.net(audio)
            audio.float().cpu()

    def finish(self, recorder: Any) -> None:
        """Emit everything that the recorder has, waiting for the device a moment."""
        recorder.taker.flush(_FLUSH_S)

    def launch(self) -> None:
        """Queue a kernel of about a millisecond on the current stream."""
        self.torch.cuda._sleep(_KERNEL)

    def wait(self) -> None:
        """Wait for everything that the device has to do."""
        self.torch.cuda.synchronize()

    @contextmanager
    def own_stream(self) -> Generator[None]:
        """Let the calling thread work on a stream of its own."""
        with self.torch.cuda.stream(self.torch.cuda.Stream()):
            yield

    @contextmanager
    def counting(self) -> Generator[Counter[str]]:
        """Count synchronisations of the device, of streams and of events, by PyTorch's own callbacks."""
        seen: Counter[str] = Counter()
        if not self._traced:
            self._traced = True
            trace = module("torch.cuda._gpu_trace")
            for what in ("device", "stream", "event"):
                register = getattr(trace, f"register_callback_for_{what}_synchronization")
                register(partial(self._count, what))
            self.torch._C._activate_gpu_trace()
        self._counting.append(seen)
        try:
            yield seen
        finally:
            self._counting.remove(seen)

    def _count(self, what: str, *handle: int) -> None:
        with self._lock:
            for seen in self._counting:
                seen[what] += 1

    @contextmanager
    def capture(self, mode: str) -> Generator[None]:
        """Capture a graph in that error mode; raises RuntimeError where something spoilt it."""
        torch = self.torch
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode=mode):
            yield
        graph.replay()
        torch.cuda.synchronize()

    def elsewhere(self, work: Callable[[], Any]) -> Any:
        """Do `work` in another thread and return what it returns, or raise what it raises."""
        done: list[Any] = []

        def run() -> None:
            try:
                done.append((work(), None))
            except Exception as error:
                done.append((None, error))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        result, error = done[0]
        if error is not None:
            raise error
        return result

    def break_device(self) -> None:
        """Leave the device with an error that every later call of this process meets: an assert in a kernel."""
        torch = self.torch
        rows = torch.zeros(4, 4, device=self.device)
        rows[torch.tensor([1 << 20], device=self.device)].cpu()
