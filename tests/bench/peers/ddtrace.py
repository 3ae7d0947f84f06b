# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The request's spans with Datadog's tracer, whose writer is native; it sends to what answers as its agent."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from ddtrace.trace import tracer

from tests.bench.by_api import END, ROOT, of_request, of_stage
from tests.bench.content import AUDIO, STAGES
from tests.bench.plain_names import names


def make() -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a request and a flush."""
    numbers = count()

    def request() -> None:
        with tracer.trace(ROOT, service="bench") as root:
            _set(root, of_request(f"req-{next(numbers)}"))
            for stage in STAGES:
                with tracer.trace(names.STAGE_PREFIX + stage) as span:
                    _set(span, of_stage(stage))
            _set(root, AUDIO)
            _set(root, END)

    return request, tracer.flush


def _set(span: Any, attributes: dict[str, Any]) -> None:
    """Words are tags there, and numbers metrics."""
    for key, value in attributes.items():
        if isinstance(value, str):
            span.set_tag(key, value)
        else:
            span.set_metric(key, value)
