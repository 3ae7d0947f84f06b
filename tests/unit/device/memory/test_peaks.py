# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import random
import threading
from typing import Any

import pytest

from otel_tts.device.memory import peak_statistics, peaks
from otel_tts.device.memory.peaks import PeakWindow, PeakWindows
from otel_tts.device.torch.allocator import TorchAllocator
from tests.unit.support.faketorch import Device, FakeTorch

MIB = 1 << 20


@pytest.fixture
def windows(torch: FakeTorch) -> PeakWindows:
    return PeakWindows(TorchAllocator(torch), 0)


def opened(windows: PeakWindows) -> PeakWindow:
    window = PeakWindow()
    window.whole = True
    windows.edge(window)
    return window


def test_the_naive_way_loses_the_outer_peak_and_windows_do_not(device: Device, windows: PeakWindows) -> None:
    outer = opened(windows)
    device.use_mib(100)
    inner = opened(windows)
    kept = device.alloc(10)
    windows.edge(inner)
    device.free(kept)
    windows.edge(outer)
    assert (outer.peak, inner.peak) == (100 * MIB, 10 * MIB)
    assert device.devs[0].mem.s["allocated_bytes"]["peak"] == 0, "what reset at entry and read at exit would have seen"


@pytest.mark.parametrize("seed", range(20))
def test_random_windows_against_counting_each_moment(seed: int, device: Device, windows: PeakWindows) -> None:
    rnd = random.Random(seed)
    live: list[object] = []
    expected: dict[PeakWindow, int] = {}
    memory = device.devs[0].mem
    for _ in range(1000):
        what = rnd.random()
        if what < 0.4:
            live.append(device.alloc(rnd.random()))
        elif what < 0.75 and live:
            device.free(live.pop(rnd.randrange(len(live))))
        elif what < 0.88:
            window = opened(windows)
            expected[window] = memory.s["allocated_bytes"]["current"]
        elif expected:
            window = rnd.choice(list(expected))
            windows.edge(window)
            assert window.peak == expected.pop(window) and window.whole
        for window in expected:
            expected[window] = max(expected[window], memory.s["allocated_bytes"]["current"])


def test_nothing_is_reset_where_the_peak_is_the_present(device: Device, windows: PeakWindows) -> None:
    kept = device.alloc(5)
    for _ in range(10):
        window = opened(windows)
        windows.edge(window)
    assert device.devs[0].mem.resets == 0
    device.free(kept)
    opened(windows)
    assert device.devs[0].mem.resets == 1


def test_windows_that_never_close_are_bounded(monkeypatch: pytest.MonkeyPatch, windows: PeakWindows) -> None:
    monkeypatch.setattr(peaks, "_MOST_WINDOWS", 10)
    first = opened(windows)
    for _ in range(10):
        opened(windows)
    assert not first.whole, "its peak is no longer followed, so it is not told"
    windows.edge(first)
    assert len(windows._open) == 10


def test_a_stream_that_is_collected_inside_a_reading_ends_its_window(torch: FakeTorch) -> None:
    """Reading the statistics makes many objects, and may so begin a collection in the same thread."""
    allocator = TorchAllocator(torch)
    windows = PeakWindows(allocator, 0)
    abandoned, given, calls = opened(windows), windows._stats, itertools.count()

    def stats(device: int) -> Any:
        if not next(calls):
            windows.edge(abandoned)
        return given(device)

    windows._stats = stats
    asked = threading.Thread(target=opened, args=(windows,), daemon=True)
    asked.start()
    asked.join(20)
    assert not asked.is_alive(), "the request waits for itself"
    assert len(windows._open) == 1


def test_windows_from_threads_each_see_their_own_peak(device: Device, windows: PeakWindows) -> None:
    lock, wrong = threading.Lock(), []

    def work(seed: int) -> None:
        rnd = random.Random(seed)
        for _ in range(50):
            window = opened(windows)
            mib = rnd.randrange(1, 64)
            with lock:  # the real allocator has its own
                before = device.devs[0].mem.s["allocated_bytes"]["current"]
                device.use_mib(mib)
            windows.edge(window)
            if window.peak < before + mib * MIB or not window.whole:
                wrong.append(window.peak)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# --- the application's own use of peaks ------------------------------------------------------------------------------


@pytest.fixture
def polite(torch: FakeTorch, windows: PeakWindows) -> Any:
    peak_statistics.install(torch, lambda device: windows if device == 0 else None)
    yield torch
    peak_statistics.uninstall()


def test_the_application_sees_the_peak_that_we_have_reset(device: Device, windows: PeakWindows, polite: Any) -> None:
    device.use_mib(100)
    window = opened(windows)
    device.use_mib(7)
    windows.edge(window)
    assert device.devs[0].mem.s["allocated_bytes"]["peak"] == 0
    for read in (polite.cuda.max_memory_allocated, polite.cuda.memory.max_memory_allocated):
        assert read() == read(0) == read(polite.device("cuda:0")) == read("cuda") == 100 * MIB
    assert polite.cuda.max_memory_reserved() == 100 * MIB
    assert polite.cuda.memory_stats()["allocated_bytes.all.peak"] == 100 * MIB


@pytest.mark.parametrize("reset", ["reset_peak_memory_stats", "reset_max_memory_allocated"])
def test_a_reset_by_the_application_spoils_nobodys_peak(
    reset: str, device: Device, windows: PeakWindows, polite: Any
) -> None:
    window = opened(windows)
    device.use_mib(100)
    getattr(polite.cuda, reset)()
    assert polite.cuda.max_memory_allocated() == 0
    device.use_mib(3)
    windows.edge(window)
    assert (window.peak, window.whole) == (100 * MIB, True)
    assert polite.cuda.max_memory_allocated() == 3 * MIB


def test_a_reset_that_passes_us_by_makes_the_peak_unknown(device: Device, windows: PeakWindows) -> None:
    kept = device.alloc(50)
    window = opened(windows)
    device.use_mib(100)
    device.free(kept)
    device.devs[0].mem.reset_peak()  # from C++, say
    windows.edge(window)
    assert not window.whole
    later = opened(windows)
    windows.edge(later)
    assert later.whole


def test_another_device_is_none_of_ours(polite: Any, torch: FakeTorch, device: Device) -> None:
    device.devs.append(type(device.devs[0])(device.clock, 1))
    device.use_mib(9, device=1)
    assert torch.cuda.max_memory_allocated(1) == 9 * MIB
    torch.cuda.reset_peak_memory_stats(1)
    assert torch.cuda.max_memory_allocated(1) == 0


def test_torch_gets_its_own_functions_back_and_is_wrapped_once(torch: FakeTorch, windows: PeakWindows) -> None:
    own = {name: getattr(torch.cuda, name) for name in ("memory_stats_as_nested_dict", "reset_peak_memory_stats")}
    peak_statistics.install(torch, lambda device: windows)
    peak_statistics.install(torch, lambda device: windows)
    for name, function in own.items():
        assert getattr(torch.cuda, name) is getattr(torch.cuda.memory, name) is not function
        assert getattr(torch.cuda, name).__wrapped__ is function
    assert TorchAllocator(torch).stats is own["memory_stats_as_nested_dict"]
    peak_statistics.uninstall()
    for name, function in own.items():
        assert getattr(torch.cuda, name) is getattr(torch.cuda.memory, name) is function


def test_before_cuda_is_initialised_the_wrappers_do_nothing(torch: FakeTorch, device: Device, polite: Any) -> None:
    device.initialized = False
    assert torch.cuda.memory_stats_as_nested_dict() == {}
    torch.cuda.reset_peak_memory_stats()
    assert device.devs[0].mem.reads == 0
