# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One stage of a synthesis: a span from its opening to its closing, current in between."""

from __future__ import annotations

from collections.abc import Sequence
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from otel_tts import names
from otel_tts.guard import note_fault
from otel_tts.otel_private.context import SPAN_KEY, current_context, enter_context, leave_context
from otel_tts.record import LateSpan, StageRecord, Where, make_tuple, now, set_item
from otel_tts.recording.block import Block
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.stages import Stages

if TYPE_CHECKING:
    from contextvars import Token


class StageOwner(LateSpan):
    """What a stage needs of the synthesis that it belongs to."""

    __slots__ = ()

    recorder: Recorder
    silent: bool
    stages: Stages

    def own_stages(self) -> Sequence[StageRecord]:
        return self.stages.finished


class StageSpan(StageRecord, Block):
    """Opened with ``with synthesis.stage("vocoder") as stage:``."""

    __slots__ = ("prev",)

    prev: Token[Context] | None

    def __init__(
        self,
        root: StageOwner,
        stage: str,
        attrs: dict[str, Any] | None = None,
        fold: bool = False,
        where: Where = None,
    ) -> None:
        self.root, self.stage = root, stage
        self.name = names.STAGE_PREFIX + stage
        self.attrs = attrs if attrs is not None else {}
        self.attrs[names.STAGE] = stage
        self.events, self.links = [], ()
        self.status = self.t1 = self.prev = self.timing = self.memory = None
        self.count, self.counted, self.fold, self.where = 1, False, fold, where

    def open(self) -> StageSpan:
        """Begin without making it current: a generator's stage is current only while the generator runs."""
        root: StageOwner = self.root
        current = current_context()
        span: Any = current.get(SPAN_KEY)
        self.nested = span if span.__class__ is StageSpan else None
        parent: SpanContext | None = None
        if span is root or self.nested is not None:
            parent = span.identity
        elif span is not None:
            parent = span.get_span_context()
        if parent is None or parent[0] != root.identity[0]:  # a thread without our context, or with another request's
            parent, current, self.nested = root.identity, Context(current), None
            set_item(current, SPAN_KEY, root)
        recorder = root.recorder
        if root.silent:
            self.sampling, self.identity = root.sampling, parent
        else:
            if recorder.inherits:
                flags, state = parent[3], parent[4]
                self.sampling = recorder.inherited[flags & 1]
            else:
                flags, state, self.sampling = recorder.identities.sample(
                    current, parent, parent[0], self.name, self.attrs, self.kind
                )
            self.identity = make_tuple(SpanContext, (parent[0], recorder.new_span_id(), False, flags, state, True))
        inside = Context(current)
        set_item(inside, SPAN_KEY, self)
        self.outside, self.inside = current, inside
        self.thread = get_ident()
        clock, memory = recorder.clock, recorder.memory
        if memory is not None:
            self.memory = memory.begin(self)
        self.t0 = self.since = now()
        root.stages.open.append(self)  # with its times: another thread may add up at once
        if clock is not None:
            self.timing = clock.begin(self)
        return self

    def close(self, error: BaseException | None = None) -> None:
        """End; `error` is what left the stage, if anything did."""
        if error is not None and not isinstance(error, GeneratorExit):
            self.fail(error)
        if self.timing is not None:
            self.root.recorder.clock.end(self)
        self.t1 = now()
        if self.memory is not None and (memory := self.root.recorder.memory) is not None:
            memory.end(self, self.memory)
        self.root.stages.close(self)

    def pause(self) -> None:
        """A generator's stage is suspended: what its stream does until `resume` is somebody else's."""
        clock = self.root.recorder.clock
        if clock is not None and self.timing is not None:
            clock.pause(self)

    def resume(self) -> None:
        """Go on after `pause`; nothing where it is not paused."""
        clock = self.root.recorder.clock
        if clock is not None and self.timing is not None:
            clock.resume(self)

    def __enter__(self) -> StageSpan:
        try:
            self.open()
            self.prev = enter_context(self.inside)
        except Exception as fault:
            note_fault("stage", fault)
            self.give_up()
            if self in self.root.stages.open:
                self.root.stages.open.remove(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.prev is None:  # it could not be opened
            return
        leave_context(self.inside, self.prev)
        self.prev = None
        try:
            self.close(error)
        except Exception as fault:
            note_fault("stage", fault)
            self.t1 = self.t1 or self.t0
