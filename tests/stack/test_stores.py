# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The contracts of the stores, kept by the real servers: sent to the Collector, read back from each."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from otel_tts import names
from otel_tts.readers.choice import Places, choose_logs, choose_metrics, choose_traces
from otel_tts.readers.filters import Filter
from otel_tts.readers.jaeger import Jaeger
from otel_tts.readers.prometheus import Prometheus
from otel_tts.readers.stores import Question
from otel_tts.readers.victorialogs import VictoriaLogs
from otel_tts.stack import stores
from tests.store_contracts.of_logs import LogContract
from tests.store_contracts.of_metrics import MetricContract
from tests.store_contracts.of_traces import TraceContract
from tests.store_contracts.sent import DAY

if TYPE_CHECKING:
    from conftest import Backends


class Through:
    """Sends to the Collector, and waits until the store has all that was sent."""

    def __init__(self, stack: Backends, eventually: Callable[..., Any]) -> None:
        self._stack, self._eventually = stack, eventually
        self.service = f"store-{uuid.uuid4().hex[:12]}"

    def _post(self, signal: str, document: dict[str, Any]) -> None:
        httpx.post(f"{self._stack.otlp_http}/v1/{signal}", json=document, timeout=60).raise_for_status()


class ToJaeger(Through):
    def __init__(self, stack: Backends, eventually: Callable[..., Any]) -> None:
        super().__init__(stack, eventually)
        self.store = Jaeger(stack.jaeger)
        self._sent: dict[str, set[str]] = {}

    def send(self, *documents: dict[str, Any]) -> None:
        for document in documents:
            self._post("traces", document)
            for span in (one for of in document["resourceSpans"] for one in of["scopeSpans"][0]["spans"]):
                self._sent.setdefault(span["traceId"], set()).add(span["spanId"])
        for trace, spans in self._sent.items():
            self._eventually(lambda trace=trace, spans=spans: {one.span_id for one in self.store.get(trace)} == spans)


class TestJaeger(TraceContract):
    @pytest.fixture
    def to(self, stack: Backends, eventually: Callable[..., Any]) -> ToJaeger:
        return ToJaeger(stack, eventually)


class ToVictoriaLogs(Through):
    def __init__(self, stack: Backends, eventually: Callable[..., Any]) -> None:
        super().__init__(stack, eventually)
        self.store = VictoriaLogs(stack.victorialogs)
        self._count = 0

    def send(self, *documents: dict[str, Any]) -> None:
        for document in documents:
            self._post("logs", document)
            self._count += len(document["resourceLogs"][0]["scopeLogs"][0]["logRecords"])
        self._eventually(lambda: len(self.store.find(Filter(service=self.service, limit=10_000))) >= self._count)


class TestVictoriaLogs(LogContract):
    @pytest.fixture
    def to(self, stack: Backends, eventually: Callable[..., Any]) -> ToVictoriaLogs:
        return ToVictoriaLogs(stack, eventually)


class ToPrometheus(Through):
    def __init__(self, stack: Backends, eventually: Callable[..., Any]) -> None:
        super().__init__(stack, eventually)
        self.store = Prometheus(stack.prometheus)
        self._samples = 0.0

    def send(self, *documents: dict[str, Any]) -> None:
        for document in documents:
            self._post("metrics", document)
            self._samples = self._eventually(self._more)

    def _more(self) -> float | None:
        """The samples of the service, when there are more than before: all of a document come at once."""
        mine = f'service_name="{self.service}", __name__!~".*_(sum|count)"'  # their labels are the same
        found = self._stack.series(f"sum(count_over_time({{{mine}}}[1h]))")
        samples = float(found[0]["value"][1]) if found else 0.0
        return samples if samples > self._samples else None


class TestPrometheus(MetricContract):
    @pytest.fixture
    def to(self, stack: Backends, eventually: Callable[..., Any]) -> ToPrometheus:
        return ToPrometheus(stack, eventually)


def test_the_kind_of_each_server_is_found_out(stack: Backends) -> None:
    places = Places(traces=stack.jaeger, logs=stack.victorialogs, metrics=stack.prometheus)
    assert isinstance(choose_traces(places).store, Jaeger)
    assert isinstance(choose_logs(places).store, VictoriaLogs)
    assert isinstance(choose_metrics(places).store, Prometheus)


def test_the_stack_that_runs_is_asked_and_says_what_it_keeps(stack: Backends) -> None:
    places = Places(stack=stores.addresses(stack.stack), stack_keeps_seconds=stores.KEEPS_S, environ={})
    traces, logs, metrics = choose_traces(places), choose_logs(places), choose_metrics(places)
    assert str(traces) == f"traces are read from Jaeger at {stack.jaeger} (the stack that runs here)"
    assert str(logs) == f"logs are read from VictoriaLogs at {stack.victorialogs} (the stack that runs here)"
    assert str(metrics) == f"metrics are read from Prometheus at {stack.prometheus} (the stack that runs here)"
    old = Filter(service="nobody", since=time.time_ns() - 8 * DAY)
    for answer in (traces.store.find(old), logs.store.find(old)):  # each says so by itself, or is told
        assert [str(gap).rpartition(" keeps ")[2] for gap in answer.gaps] == ["7 days; what was before is gone"]
    ago = metrics.store.query(Question(names.REQUESTS, "increase"), time.time_ns() - 91 * DAY)
    assert [gap.why for gap in ago.gaps] == ["retention"]


@pytest.mark.parametrize("name", ["jaeger", "victorialogs", "prometheus"])
def test_a_server_that_is_down_is_a_gap(stack: Backends, name: str) -> None:
    ask = {
        "jaeger": lambda: Jaeger(stack.jaeger).find(Filter()),
        "victorialogs": lambda: VictoriaLogs(stack.victorialogs).find(Filter()),
        "prometheus": lambda: Prometheus(stack.prometheus).query(Question(names.REQUESTS, "increase")),
    }[name]
    stack.stop(name)
    try:
        answer = ask()
    finally:
        stack.start(name)
    assert answer.items == () and [gap.why for gap in answer.gaps] == ["down"]
    assert "Connection refused" in answer.gaps[0].text
