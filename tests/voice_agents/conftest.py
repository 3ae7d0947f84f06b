# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Frameworks of voice agents (tests/environments/agents.in); elsewhere these tests are not collected."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "integration"))

collect_ignore_glob = [] if find_spec("livekit") else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture
def sink() -> Iterator[object]:
    from otlp_sink import OtlpSink

    with OtlpSink() as running:
        yield running
