# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator

from otel_tts.distro import propagation


@pytest.fixture(autouse=True)
def keep() -> Iterator[None]:
    before = propagate.get_global_textmap()
    yield
    propagate.set_global_textmap(before)


def test_upstream_still_has_the_trap() -> None:
    assert CompositePropagator([]).extract({}) is None  # when this fails, propagation.py can go


def test_a_composite_of_nothing_is_replaced() -> None:
    propagate.set_global_textmap(CompositePropagator([]))
    assert propagation.mend()
    assert propagate.extract({"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}) == Context()
    context = Context({"key": "value"})
    assert propagate.extract({}, context) is context
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    assert carrier == {} and propagate.get_global_textmap().fields == set()
    assert not propagation.mend()


def test_a_working_one_stays() -> None:
    before = propagate.get_global_textmap()
    assert not propagation.mend()
    assert propagate.get_global_textmap() is before
