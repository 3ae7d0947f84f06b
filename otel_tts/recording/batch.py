# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Work of several requests that runs as one: a span of its own with links to them, and in each of them its share.

A span has one parent, and a batch has many: so it is nobody's child, and each request shows a stage of the same time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType

from opentelemetry.context import Context
from opentelemetry.trace import Link

from otel_tts import names
from otel_tts.guard import contain
from otel_tts.otel_private.context import current_context, enter_context, leave_context
from otel_tts.record import PlainSpan, now
from otel_tts.recording.block import Block
from otel_tts.recording.stage import StageSpan
from otel_tts.recording.synthesis import Synthesis


class batch(Block):
    """``with otel_tts.batch("acoustic_model", [job.synthesis for job in jobs]):`` around the call that does them all.

    `stage` is the stage's name, `syntheses` what `otel_tts.current()` returned in each request; None and what is over
    by now are left out. Seams inside the block are part of the batch and leave nothing of their own. `device`
    ``"cpu"``: it does nothing on a device. Without otel-tts configured it does nothing.
    """

    def __init__(self, stage: str, syntheses: Iterable[Synthesis | None], *, device: str | None = None) -> None:
        self._name, self._device = stage, device
        self._syntheses = syntheses
        self._stages: list[StageSpan] = []
        self._span: PlainSpan | None = None

    def __enter__(self) -> None:
        contain("batch", self._open)
        self._context = current_context() if self._span is None else self._span.inside
        self._token = enter_context(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        leave_context(self._context, self._token)
        contain("batch", self._close, error)

    def _open(self) -> None:
        members = [member for member in self._syntheses if isinstance(member, Synthesis) and member.t1 is None]
        if not members:
            return
        facts = {names.STAGE: self._name, names.BATCH_SIZE: len(members)}
        began = now()
        name, offset = names.STAGE_PREFIX + self._name, time.time_ns() - began
        self._span = span = members[0].recorder.span(name, Context(), began, offset, dict(facts))
        span.links = tuple(Link(member.identity) for member in members)
        for member in members:
            stage = member.stage(self._name, device=self._device)
            stage.attrs.update(facts)
            stage.links = (Link(span.identity),)
            self._stages.append(stage.open())

    def _close(self, error: BaseException | None) -> None:
        span = self._span
        for stage in self._stages:
            stage.attrs[names.BATCH_SHARE] = (now() - stage.t0) / 1e9 / len(self._stages)
            contain("batch", stage.close, error)
        if span is None or not self._stages:
            return
        if error is not None:
            span.fail(error)
        span.t1 = now()
        self._stages[0].root.recorder.finish(span)
