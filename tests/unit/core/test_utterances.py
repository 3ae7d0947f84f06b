# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The syntheses of a WebSocket: many for one request, each asked for when it begins."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

import otel_tts
from otel_tts import request
from otel_tts.request import MAX_ID_LENGTH, Request, accept_id


@pytest.fixture(params=[True, False])
def web(request_of_an_hour_ago: Request, request: pytest.FixtureRequest) -> Request:
    request_of_an_hour_ago.session = request.param
    return request_of_an_hour_ago


@pytest.fixture
def request_of_an_hour_ago() -> Iterator[Request]:
    made = Request("web-1", time.perf_counter_ns() - 3_600_000_000_000)
    token = request.current.set(made)
    yield made
    request.current.reset(token)


def test_each_has_an_id_and_a_beginning_of_its_own(world, web) -> None:
    seen = world()
    for _ in range(2):
        with otel_tts.synthesis("m") as synthesis:
            synthesis.chunk(np.full(2400, 0.5, np.float32), 24000)
    spans = seen.drain().spans
    ids = [span.attributes["request_id"] for span in spans]
    waited = [span.attributes["tts.time_to_first_byte"] for span in spans]
    if web.session:
        assert ids == ["web-1.1", "web-1.2"] and max(waited) < 3600
    else:
        assert ids == ["web-1", "web-1"] and min(waited) >= 3600


def test_the_longest_id_stays_one_that_is_accepted() -> None:
    web = Request("x" * MAX_ID_LENGTH, 0, session=True, utterances=10**6)
    assert accept_id(name := web.name_utterance()) == name and name.endswith(".1000001")
