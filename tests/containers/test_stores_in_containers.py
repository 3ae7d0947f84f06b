# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The contracts of the stores, kept by Tempo and Loki themselves. RECORD=1 keeps what they answer."""

from __future__ import annotations

import os
import time
import uuid
from typing import Any

import httpx
import pytest
from in_containers import COLLECTOR, LOKI, TEMPO, eventually

from otel_tts.readers.filters import Filter
from otel_tts.readers.loki import Loki, logql
from otel_tts.readers.tempo import Tempo, traceql
from tests.store_contracts.answered import REQUEST, SERVICE, TRACE, keep, the_record, the_trace
from tests.store_contracts.of_logs import LogContract
from tests.store_contracts.of_traces import TraceContract
from tests.store_contracts.sent import S

pytestmark = pytest.mark.usefixtures("containers")


def post(signal: str, document: dict[str, Any]) -> None:
    httpx.post(f"{COLLECTOR}/v1/{signal}", json=document, timeout=60).raise_for_status()


class ToTempo:
    def __init__(self) -> None:
        self.service = f"store-{uuid.uuid4().hex[:12]}"
        self.store = Tempo(TEMPO)
        self._sent: dict[str, set[str]] = {}

    def send(self, *documents: dict[str, Any]) -> None:
        for document in documents:
            post("traces", document)
            for span in (one for of in document["resourceSpans"] for one in of["scopeSpans"][0]["spans"]):
                self._sent.setdefault(span["traceId"], set()).add(span["spanId"])
        for trace, spans in self._sent.items():
            eventually(lambda trace=trace, spans=spans: {one.span_id for one in self.store.get(trace)} == spans)
        time.sleep(5)  # the search sees a trace when nothing more of it has come for a while


class ToLoki:
    def __init__(self) -> None:
        self.service = f"store-{uuid.uuid4().hex[:12]}"
        self.store = Loki(LOKI)
        self._count = 0

    def send(self, *documents: dict[str, Any]) -> None:
        for document in documents:
            post("logs", document)
            self._count += len(document["resourceLogs"][0]["scopeLogs"][0]["logRecords"])
        eventually(lambda: len(self.store.find(Filter(service=self.service, limit=10_000))) >= self._count)


class TestTempo(TraceContract):
    @pytest.fixture
    def to(self) -> ToTempo:
        return ToTempo()


class TestLoki(LogContract):
    @pytest.fixture
    def to(self) -> ToLoki:
        return ToLoki()


@pytest.mark.skipif(os.environ.get("RECORD") != "1", reason="RECORD=1 replaces the answers in tests/store_contracts")
def test_what_they_answer_is_kept() -> None:
    start = time.time_ns() - 60 * S
    post("traces", the_trace(start))
    post("logs", the_record(start + 2 * S))
    search = {"q": traceql(Filter(request_id=REQUEST)), "limit": 200, "spss": 1}
    tempo = {
        "/api/search": eventually(lambda: _asked(f"{TEMPO}/api/search", search, "traces")),
        f"/api/v2/traces/{TRACE}": eventually(lambda: _asked(f"{TEMPO}/api/v2/traces/{TRACE}", {}, "trace")),
    }
    keep("tempo", f"recorded from Tempo {_version(TEMPO, '/api/status/buildinfo')}", tempo)
    query = {"query": logql(Filter(service=SERVICE)), "limit": 1000, "start": start, "direction": "backward"}
    path = "/loki/api/v1/query_range"
    answer = eventually(lambda: (found := _asked(LOKI + path, query, "data"))["data"]["result"] and found)
    keep("loki", f"recorded from Loki {_version(LOKI, '/loki/api/v1/status/buildinfo')}", {path: answer})


def _asked(url: str, params: dict[str, Any], key: str) -> Any:
    answer = httpx.get(url, params=params).raise_for_status().json()
    return answer if answer.get(key) else None


def _version(url: str, path: str) -> str:
    return httpx.get(url + path).raise_for_status().json().get("version", "?")
