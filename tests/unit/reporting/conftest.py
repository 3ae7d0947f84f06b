# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The two made months, written once."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from otel_tts.readers.file_metrics import FileMetrics
from otel_tts.readers.stores import MetricStore
from otel_tts.reporting.report import Report, make
from tests.support.a_month import ZONE, Made, write_files


@pytest.fixture(scope="session")
def made() -> Made:
    return Made()


@pytest.fixture(scope="session")
def folder(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("months")
    write_files(made, folder)
    return folder


@pytest.fixture(scope="session")
def store(folder: Path) -> MetricStore:
    """The months' store, which reads its files once for each question."""
    store = FileMetrics(folder)
    ask = lru_cache(store.counts)
    store.counts = lambda asked, presences, times: ask(tuple(asked), tuple(presences), tuple(times))
    return store


@pytest.fixture(scope="session")
def told(store: MetricStore) -> Report:
    """The report of October."""
    return make("2026-10", store, ZONE)
