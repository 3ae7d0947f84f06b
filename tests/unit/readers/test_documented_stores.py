# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The contracts of the stores, kept by Tempo and Loki as far as their documentation says how they behave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from otel_tts import names
from otel_tts.readers.filters import Filter, seconds_of
from otel_tts.readers.loki import Loki
from otel_tts.readers.tempo import Tempo
from tests.store_contracts.answered import REQUEST, SERVICE, SPAN, TRACE, kept, replies
from tests.store_contracts.documented import FakeLoki, FakeTempo, served
from tests.store_contracts.of_logs import LogContract
from tests.store_contracts.of_traces import TraceContract

pytestmark = pytest.mark.thorough  # hundreds of answers: not part of make check


class Sent:
    """What is sent is there at once."""

    service = "tests"

    def __init__(self, store: Any, add: Callable[[dict[str, Any]], None]) -> None:
        self.store, self._add = store, add

    def send(self, *documents: dict[str, Any]) -> None:
        for document in documents:
            self._add(document)


class TestTempo(TraceContract):
    @pytest.fixture
    def to(self) -> Iterator[Sent]:
        fake = FakeTempo()
        with served(fake.answer) as url:
            yield Sent(Tempo(url), fake.add)


class TestLoki(LogContract):
    @pytest.fixture
    def to(self) -> Iterator[Sent]:
        fake = FakeLoki()
        with served(fake.answer) as url:
            yield Sent(Loki(url), fake.add)


def test_the_answer_of_a_tempo_is_read() -> None:
    with served(replies("tempo")) as url:
        store = Tempo(url, keeps_seconds=86400.0)
        (found,) = store.find(Filter(since=1, until=2**62, request_id=REQUEST))
        server = store.get(TRACE)
    assert (found.trace_id, found.span_id, found.request_id, found.outcome) == (TRACE, SPAN, REQUEST, "anomalous")
    assert (found.seconds, found.stages, found.service) == (2.0, {"vocoder": 1.5}, SERVICE)
    assert found.anomalies == ("silent", "clicks")
    assert (found.attributes[names.TEXT_LENGTH], found.attributes[names.REAL_TIME_FACTOR]) == (42, 0.5)
    assert server.complete and [(one.status, one.kind) for one in server if not one.parent_id] == [
        ("error", "internal")
    ]


def test_the_answer_of_a_loki_is_read() -> None:
    with served(replies("loki")) as url:
        answer = Loki(url, keeps_seconds=86400.0).find(Filter(since=1, until=2**62, anomaly="clicks"))
    (line,) = answer
    assert (line.trace_id, line.span_id, line.severity, line.event_name) == (TRACE, SPAN, "ERROR", names.REQ_FAIL)
    assert line.attributes == {
        names.REQUEST_ID: REQUEST, names.OUTCOME: "anomalous", names.ERROR_TYPE: "silent,clicks", names.TEXT_LENGTH: 42,
    }  # fmt: skip
    assert line.resource == {"service.name": SERVICE} and seconds_of(line) == {"duration": 2.0}


@pytest.mark.parametrize("store", ["tempo", "loki"])
def test_it_is_said_where_the_answers_are_from(store: str) -> None:
    origin = kept(store)["origin"]
    assert origin == "written, not recorded" or origin.startswith("recorded from ")
