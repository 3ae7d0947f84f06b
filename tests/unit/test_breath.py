# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A large batch lets other threads run between its items."""

from __future__ import annotations

import threading

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

from otel_tts import breath
from otel_tts.export.span_bytes import SpanEncoder
from otel_tts.privacy.cleaner import Cleaner
from otel_tts.privacy.policy import Policy

SPANS = [ReadableSpan("tts.model", SpanContext(1, 2, False), resource=Resource({}))] * 100


class Clock:
    """Stands in for `time`: each second look is one after enough of work."""

    def __init__(self) -> None:
        self.now, self.slept = 0, list[float]()

    def perf_counter_ns(self) -> int:
        self.now += breath.WORK_NS // 2
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def slept(monkeypatch) -> list[float]:
    clock = Clock()
    monkeypatch.setattr(breath, "time", clock)
    return clock.slept


def test_all_items_come_in_their_order(slept) -> None:
    assert list(breath.breathing(range(100))) == list(range(100))
    assert slept == [breath.BREATH_S] * 6 and breath.BREATH_S > 0


def test_a_single_item_does_not_wait(slept) -> None:
    assert list(breath.breathing(["one"])) == ["one"] and not slept


def test_the_gate_and_the_encoder_let_others_run(slept) -> None:
    cleaner = Cleaner(Policy())
    assert len(cleaner.clean_all(SPANS, cleaner.span)) == 100 and len(slept) == 6
    assert SpanEncoder().encode(SPANS)[1] == 100 and len(slept) == 12


def test_another_thread_gets_its_turn_within_a_batch() -> None:
    turns: list[int] = []
    done = threading.Event()

    def other() -> None:
        while not done.is_set():
            turns.append(1)
            done.wait(0.00001)

    thread = threading.Thread(target=other)
    thread.start()
    seen = {len(turns) for _ in breath.breathing(range(200_000))}
    done.set()
    thread.join()
    assert len(seen) > 5
