# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The public test kit with what only tests of otel-tts need: samplers, other processors, a look before the gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

from otel_tts.recording.synthesis import Synthesis
from otel_tts.testing import CountingIds, FakeClock, Telemetry, shown

__all__ = ["Foreign", "World", "clock", "shown", "world"]


class Foreign(SpanProcessor):
    """Somebody else's processor with an ``on_start``: spans have to be made through the SDK."""

    def __init__(self) -> None:
        self.started: list[Any] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.started.append((span.name, parent_context))


class World(Telemetry):
    """The recorder under test and all that it emitted, before the privacy gate."""

    def __init__(
        self,
        *,
        sampler: Any = None,
        processors: tuple[SpanProcessor, ...] = (),
        limits: Any = None,
        tracer_provider: Any = None,
        configurator: Any = None,
        **options: Any,
    ) -> None:
        tracers = tracer_provider or TracerProvider(
            sampler=sampler or ParentBased(ALWAYS_ON), id_generator=CountingIds(), span_limits=limits,
            shutdown_on_exit=False, _tracer_configurator=configurator,
        )  # fmt: skip
        for processor in processors:
            tracers.add_span_processor(processor)
        super().__init__(tracer_provider=tracers, gated=False, **{"hash_key": "", **options})

    def _before_reading(self) -> None:
        """Nothing: when something is emitted is what many tests are about."""

    def synthesis(self, **attributes: Any) -> Synthesis:
        """A synthesis with the given attributes (dots written as two underscores)."""
        named = {key.replace("__", "."): value for key, value in attributes.items()}
        return Synthesis(self.recorder, {"request_id": "r", "tts.engine.name": "e", **named})


@pytest.fixture
def world() -> Iterator[Callable[..., World]]:
    """`world(sampler=…, max_stage_spans=…)` makes a World; all are closed in the end."""
    made: list[World] = []

    def make(**options: Any) -> World:
        made.append(World(**options))
        return made[-1]

    yield make
    for one in reversed(made):
        one.close()


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    with FakeClock() as clock:
        yield clock
