# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The contracts of the stores, kept by Tempo and Loki as far as their documentation says how they behave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from store_contracts.documented import FakeLoki, FakeTempo, served
from store_contracts.of_logs import LogContract
from store_contracts.of_traces import TraceContract

from otel_tts.readers.loki import Loki
from otel_tts.readers.tempo import Tempo


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
