# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The process's memory between requests."""

from __future__ import annotations

import gc
import mmap

import pytest

from otel_tts.emit import host_memory
from otel_tts.emit.host_memory import HostMemory


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> HostMemory:
    monkeypatch.setattr(host_memory, "_EVERY_S", 0.0)
    return HostMemory()


def speak(world, memory: HostMemory) -> None:
    with world.synthesis(tts__text__length=10) as synthesis:
        pass
    memory.note(synthesis)


def test_what_is_kept_for_each_request_is_a_leak(world, memory: HostMemory) -> None:
    gc.collect()  # what earlier tests left goes now, not in the middle
    here, kept = world(), []
    for _ in range(140):
        kept.append(mmap.mmap(-1, 1 << 20))  # pages of their own: the allocator may have others left from earlier tests
        kept[-1].write(bytes(1 << 20))
        speak(here, memory)
    assert memory.watch.bytes_per_request == pytest.approx(1 << 20, rel=0.5)
    for pages in kept:
        pages.close()


def test_nothing_is_read_while_another_request_is_open(world, memory: HostMemory) -> None:
    here = world()
    with here.synthesis():
        for _ in range(140):
            speak(here, memory)
    assert memory.watch.bytes_per_request is None


def test_it_is_a_metric_once_enough_was_seen(world, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_memory, "_EVERY_S", 0.0)
    here = world()
    assert here.points("tts.process.memory.leak") == {}
    for _ in range(130):
        with here.synthesis(tts__text__length=10):
            pass
        here.drain()
    assert list(here.points("tts.process.memory.leak")) == [()]
    assert list(here.points("tts.process.memory.high_water")) == [()]
