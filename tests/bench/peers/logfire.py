# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The request with Logfire's own functions, sent to an OTLP endpoint. Its log lines are spans without duration."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import logfire

from tests.bench import by_api


class _Tracer:
    """`logfire.span` in the form of OpenTelemetry's tracer."""

    @contextmanager
    def start_as_current_span(self, name: str, attributes: dict[str, Any]) -> Generator[Any]:
        with logfire.span(name, **attributes) as span:
            yield _Span(span)


class _Span:
    def __init__(self, span: Any) -> None:
        self.set_attributes, self.add_event = span.set_attributes, span.add_event


class _Meter:
    """Its metrics in the form of OpenTelemetry's meter; they have no edges of their own."""

    def create_histogram(self, name: str, unit: str, description: str, **_: Any) -> Any:
        return logfire.metric_histogram(name, unit=unit, description=description)

    def create_counter(self, name: str, unit: str, description: str) -> Any:
        return logfire.metric_counter(name, unit=unit, description=description)


def _log(event: str, body: str, attributes: dict[str, Any]) -> None:
    logfire.info(body, **attributes)


def make() -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a request and a flush."""
    logfire.configure(send_to_logfire=False, service_name="bench", console=False, inspect_arguments=False)
    return by_api.request(_Tracer(), _Meter(), _log), lambda: logfire.force_flush() and None
