# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Which clock a process gets, what watches torch's graphs, and the sync clock."""

from __future__ import annotations

import gc
import sys
import types
from typing import Any

import pytest

from otel_tts import guard, names
from otel_tts.device.clocks import choice
from otel_tts.device.clocks.events import Events
from otel_tts.device.clocks.sync import Sync
from otel_tts.device.torch import graphs
from otel_tts.device.torch.backend import Finder
from otel_tts.device.torch.cuda import CudaBackend
from otel_tts.device.torch.graphs import CaptureGuard
from otel_tts.device.torch.xpu import XpuBackend
from tests.unit.support.clock_kit import four_stages, serving
from tests.unit.support.fakecuda import MS


def test_the_setting_chooses() -> None:
    assert choice.choose("host") == (None, "")
    auto, said = choice.choose("auto")
    assert isinstance(auto, Events) and auto.mode == "host" and said == ""
    assert isinstance(choice.choose("events")[0], Events)
    sync, said = choice.choose("sync")
    assert isinstance(sync, Sync) and sync.mode == "sync" and "debugging" in said


# --- finding the device ------------------------------------------------------------------------------------------


class _Stream:
    device_index = 3


def torch_of(cuda: str | None = "13.2", hip: str | None = None, xpu: str | None = None) -> Any:
    """A torch of that build. Its device is not initialised."""
    torch: Any = types.ModuleType("torch")
    torch.__spec__ = types.SimpleNamespace(_initializing=False)
    torch.version = types.SimpleNamespace(cuda=cuda, hip=hip, xpu=xpu)
    torch.state = types.SimpleNamespace(initialized=False, events=[])

    class Event:
        def __init__(self, **options: Any) -> None:
            torch.state.events.append(options)

        record = query = elapsed_time = None

    runtime = types.SimpleNamespace(
        is_initialized=lambda: torch.state.initialized,
        current_device=lambda: 3,
        current_stream=_Stream,
        is_current_stream_capturing=lambda: False,
        get_device_properties=lambda device: types.SimpleNamespace(uuid=f"uuid-{device}"),
        Event=Event,
    )
    torch.cuda = torch.xpu = runtime
    torch.Event, torch.device = Event, str
    torch._C = types.SimpleNamespace(
        _cuda_memoryStats=lambda device: {"device": device}, _cuda_resetPeakMemoryStats=lambda device: None
    )
    return torch


def test_no_torch_is_imported_and_no_device_initialised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    find = Finder()
    assert find() is None and "torch" not in sys.modules
    torch = torch_of()
    torch.__spec__._initializing = True
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert find() is None  # its import is under way in another thread
    torch.__spec__._initializing = False
    assert find() is None
    torch.state.initialized = True
    found = find()
    assert isinstance(found, CudaBackend) and found.device_of(found.current_stream()) == 3
    torch.state.initialized = False  # in a forked child
    assert find() is None


def test_each_build_of_torch_has_its_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    for build, kind in (
        ({}, CudaBackend),
        ({"cuda": None, "hip": "7"}, CudaBackend),
        ({"cuda": None, "xpu": "1"}, XpuBackend),
    ):
        torch = torch_of(**build)
        torch.state.initialized = True
        monkeypatch.setitem(sys.modules, "torch", torch)
        found = Finder()()
        assert type(found) is kind
        found.new_event()
        assert torch.state.events[0]["enable_timing"] is True  # never the default, which has changed
    monkeypatch.setitem(sys.modules, "torch", torch_of(cuda=None))
    assert Finder()() is None


def test_a_torch_that_is_other_than_expected_is_contained(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = torch_of()
    del torch.cuda
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert Finder()() is None
    assert guard.faults["backend"] == 1


# --- graphs ------------------------------------------------------------------------------------------------------


class Graph:
    def capture_begin(self, pool: Any = None, capture_error_mode: str = "global") -> str:
        if pool == "fails":
            raise RuntimeError("capture")
        return capture_error_mode

    def capture_end(self) -> None:
        pass


def test_torchs_graphs_are_watched() -> None:
    class Own(Graph):
        capture_begin = Graph.capture_begin
        capture_end = Graph.capture_end

    watch = CaptureGuard()
    watch.watch(Own)
    begin = Own.__dict__["capture_begin"]
    watch.watch(Own)
    assert Own.__dict__["capture_begin"] is begin
    graph, other = Own(), Own()
    assert graph.capture_begin(capture_error_mode="relaxed") == "relaxed" and watch.captures
    other.capture_begin()
    graph.capture_end()
    assert watch.captures and not watch.enter()
    other.capture_end()
    assert not watch.captures
    with pytest.raises(RuntimeError):
        graph.capture_begin("fails")
    assert not watch.captures


def test_a_graph_that_is_dropped_half_way_counts_no_more() -> None:
    watch, graph = CaptureGuard(), Graph()
    watch.begin(graph)
    assert watch.captures
    del graph
    gc.collect()
    assert not watch.captures


def test_the_guard_is_there_as_soon_as_torchs_graphs_are(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: list[tuple[str, Any]] = []
    monkeypatch.setattr(graphs, "after_import", lambda module, call, group: hooks.append((module, call)))

    class CUDAGraph(Graph):
        capture_begin = Graph.capture_begin
        capture_end = Graph.capture_end

    own = CUDAGraph.capture_begin
    for _ in range(2):
        choice.choose("auto")
        ((module, hook),) = hooks
        assert module == "torch.cuda.graphs"
        hook(types.SimpleNamespace(CUDAGraph=CUDAGraph))
        hooks.clear()
    graph = CUDAGraph()
    graph.capture_begin()
    assert graphs.guard.captures
    graph.capture_end()
    assert not graphs.guard.captures
    assert CUDAGraph.capture_begin.__wrapped__ is own, "it is wrapped once"
    graphs.unwatch_torch()
    assert CUDAGraph.capture_begin is own


# --- sync --------------------------------------------------------------------------------------------------------


def test_sync_waits_for_the_stages_stream_only_and_says_what_it_cost() -> None:
    with serving("sync") as here:
        neighbour = here.cuda.devs[0].stream()
        here.cuda.launch(200 * MS, stream=neighbour)
        with here.synthesis() as synthesis, synthesis.stage("model"):
            here.cuda.launch(3 * MS)
        here.drain()
        said = here.attributes("tts.model")
        assert said[names.TIMING_MODE] == "sync" and here.took("tts.model") == pytest.approx(3, abs=0.1)
        assert said[names.GPU_SYNC_WAIT] == pytest.approx(0.003, abs=1e-4)
        assert "sync_device" not in here.cuda.calls


def test_sync_leaves_the_cpu_alone_and_needs_a_device() -> None:
    with serving("sync") as here:
        with here.synthesis() as synthesis:
            with synthesis.stage("text_frontend", device="cpu"):
                pass
            here.cuda.initialized = False
            with synthesis.stage("model"):
                pass
        here.drain()
        for name in ("tts.text_frontend", "tts.model"):
            assert here.attributes(name)[names.TIMING_MODE] == "host"
        assert not here.cuda.calls


def test_sync_raises_nothing_of_the_devices_and_keeps_out_of_captures() -> None:
    with serving("sync") as here:
        stream = here.cuda.devs[0].stream()
        with here.cuda.use(stream), here.capture(stream), here.synthesis() as synthesis, synthesis.stage("model"):
            here.cuda.launch(MS)
        with here.synthesis() as synthesis, synthesis.stage("vocoder"):
            here.cuda.devs[0].broken = "CUDA error: device-side assert triggered"
        here.drain()
        assert here.attributes("tts.model")[names.TIMING_STATUS] == "captured"
        assert here.attributes("tts.vocoder")[names.TIMING_STATUS] == "error:CudaError"
        assert here.attributes("tts.vocoder")[names.TIMING_MODE] == "host"


def test_sync_adds_up_over_folded_stages() -> None:
    with serving("sync", world={"max_stage_spans": 1}) as here:
        with here.synthesis() as synthesis:
            for _ in range(5):
                with synthesis.stage("model"):
                    here.cuda.launch(2 * MS)
        here.drain()
        assert here.world.spans[1].attributes[names.GPU_SYNC_WAIT] == pytest.approx(0.008, abs=2e-4)
        assert here.world.points("tts.stage.duration")["e", "model"] == (1, pytest.approx(0.010, abs=2e-4))


def test_the_hosts_clock_asks_the_device_nothing() -> None:
    with serving("host") as here:
        four_stages(here)
        here.drain()
        assert not here.cuda.calls and here.attributes("tts.vocoder")[names.TIMING_MODE] == "host"
