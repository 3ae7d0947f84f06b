# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Web frameworks with OpenTelemetry's own instrumentation of them.

These tests need an environment of their own (tests/environments/web.in); elsewhere they are not collected.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "integration"))

collect_ignore_glob = [] if find_spec("opentelemetry.instrumentation.django") else ["test_*.py"]


@pytest.fixture
def sink() -> Iterator[object]:
    from otlp_sink import OtlpSink

    with OtlpSink() as running:
        yield running
