# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time

from otel_tts.distro import shutdown
from otel_tts.otel_private.pipeline import Pipeline


def test_the_budget_is_shared_until_a_flush_succeeds_or_time_has_passed() -> None:
    now = [0.0]
    budget = shutdown.Budget(3.0, lambda: now[0])
    assert budget.left() == 3
    budget.note(2.0, delivered=False)
    assert budget.left() == 1
    budget.note(2.0, delivered=False)
    assert budget.left() == 0
    budget.note(0.5, delivered=True)
    assert budget.left() == 3
    budget.note(3.0, delivered=False)
    now[0] = 61
    assert budget.left() == 3


class Provider:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def force_flush(self) -> None:
        self.calls.append("force_flush")

    def shutdown(self) -> None:
        self.calls.append("shutdown")


def test_joined_providers_are_flushed_and_not_shut_down_and_missing_ones_are_no_error() -> None:
    own, joined = Provider(), Provider()
    end = shutdown.Exit(Pipeline(own, joined, object(), frozenset({"metrics"})), 10)
    assert end.flush()
    assert end.shutdown()
    assert end.shutdown()
    assert not end.flush()
    assert own.calls == ["force_flush", "shutdown"]
    assert joined.calls == ["force_flush", "force_flush"]


def test_a_hanging_provider_costs_the_time_limit_and_no_more() -> None:
    hanging, never = Provider(), threading.Event()
    hanging.force_flush = lambda: never.wait(60)  # type: ignore[assignment,return-value]
    end = shutdown.Exit(Pipeline(hanging, Provider(), Provider()), 10)
    began = time.monotonic()
    assert not end.flush(0.2)
    assert time.monotonic() - began < 10
    never.set()


def test_where_nothing_is_configured_nothing_happens() -> None:
    assert not shutdown.flush()
    assert not shutdown.shutdown()
