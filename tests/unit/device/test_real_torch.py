# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The real torch: what the clocks rely on is there, and on a machine without a device nothing is initialised."""

from __future__ import annotations

from typing import Any

import pytest

from otel_tts import names
from otel_tts.device.torch.backend import Finder
from otel_tts.device.torch.cuda import CudaBackend
from otel_tts.device.torch.graphs import CaptureGuard

torch: Any = pytest.importorskip("torch", reason="torch is not installed (the extra torch)")
cuda_build = pytest.mark.skipif(not torch.version.cuda, reason="this torch is not built with CUDA")


def test_a_cpu_process_stays_on_the_hosts_clock(world: Any) -> None:
    before = torch.cuda.is_initialized()
    here = world(clock="auto")
    layer = torch.nn.Conv1d(8, 8, 3)
    with here.synthesis() as synthesis, synthesis.stage("vocoder"), torch.inference_mode():
        layer(torch.zeros(1, 8, 64))
    here.drain()
    assert torch.cuda.is_initialized() is before
    if not before:
        assert here.span("tts.vocoder").attributes[names.TIMING_MODE] == "host"


@cuda_build
def test_a_cuda_build_has_what_the_backend_calls() -> None:
    backend: Any = CudaBackend.of(torch)
    if not torch.cuda.is_initialized():
        assert not backend.is_ready() and Finder()() is None
    event = backend.new_event()
    for method in ("record", "query", "elapsed_time", "synchronize"):
        assert callable(getattr(event, method))
    assert callable(torch._C._cuda_memoryStats) and callable(torch._C._cuda_resetPeakMemoryStats)
    backend.adopt_thread()
    assert torch.cuda.is_initialized() is (backend.is_ready())


@cuda_build
def test_its_graphs_can_be_watched() -> None:
    graphs = torch.cuda.graphs.CUDAGraph
    for method in ("capture_begin", "capture_end"):
        assert method in vars(graphs)  # Python methods, which torch.cuda.graph() calls by name
    watch = CaptureGuard()

    class Watched(graphs):
        capture_begin = graphs.capture_begin
        capture_end = graphs.capture_end

    watch.watch(Watched)
    watch.begin(graph := type("Graph", (), {})())
    assert watch.captures
    watch.end(graph)
    assert not watch.captures
