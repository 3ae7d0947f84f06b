# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Ids of requests whose engine seeds Python's random numbers."""

from __future__ import annotations

import random

from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

from otel_tts.otel_private.ids import OwnIdGenerator, unseeded


def drawn(ids: IdGenerator) -> tuple[int, int]:
    random.seed(1)
    return ids.generate_trace_id(), ids.generate_span_id()


def test_a_seed_gives_no_request_the_ids_of_another() -> None:
    assert drawn(RandomIdGenerator()) == drawn(RandomIdGenerator())  # why this is here
    one, other = drawn(OwnIdGenerator()), drawn(OwnIdGenerator())
    assert one[0] != other[0] and one[1] != other[1]
    assert 0 < one[0] < 1 << 128 and 0 < one[1] < 1 << 64
    assert OwnIdGenerator().is_trace_id_random()


def test_the_applications_own_numbers_stay_what_they_are() -> None:
    random.seed(1)
    expected = random.random()
    drawn(OwnIdGenerator())
    assert random.random() == expected


def test_only_the_default_is_replaced() -> None:
    class Own(RandomIdGenerator):
        pass

    own = Own()
    assert unseeded(own) is own
    for default in (RandomIdGenerator(), None):
        assert isinstance(unseeded(default), OwnIdGenerator)
