# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One stage of a synthesis: a span from its opening to its closing, current in between."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from otel_tts import names
from otel_tts.emit.span_private import SPAN_KEY, current_context, enter_context, leave_context
from otel_tts.record import LateSpan, make_tuple, now, set_item

if TYPE_CHECKING:
    from contextvars import Token

    from otel_tts.synthesis import Synthesis


class Stage(LateSpan):
    """Opened with ``with synthesis.stage("vocoder") as stage:``; `mark` is the clock's own note between its ends."""

    __slots__ = ("count", "fold", "mark", "nested", "prev", "root", "stage")

    root: Synthesis
    stage: str
    nested: bool
    count: int
    fold: bool
    """All stages of this kind in a request are one span."""
    mark: Any
    prev: Token[Context] | None

    def __init__(self, root: Synthesis, stage: str, attrs: dict[str, Any] | None = None, fold: bool = False) -> None:
        self.root, self.stage = root, stage
        self.name = names.STAGE_PREFIX + stage
        self.attrs = attrs if attrs is not None else {}
        self.attrs[names.STAGE] = stage
        self.events, self.links = [], ()
        self.status = self.t1 = self.prev = self.mark = None
        self.count, self.fold = 1, fold

    def open(self) -> Stage:
        """Begin without making it current: a generator's stage is current only while the generator runs."""
        root = self.root
        current = current_context()
        span: Any = current.get(SPAN_KEY)
        parent: SpanContext = span.get_span_context() if span is not None else root.sc
        if not parent[5]:
            parent = root.sc
        kit = root.kit
        if kit.inherits:
            flags, state = parent[3], parent[4]
            self.res = kit.inherited[flags & 1]
        else:
            flags, state, self.res = kit.sample(current, parent, parent[0], self.name, self.attrs)
        self.sc = make_tuple(SpanContext, (parent[0], kit.new_span_id(), False, flags, state, True))
        inside = Context(current)
        set_item(inside, SPAN_KEY, self)
        self.parent, self.ctx = current, inside
        self.nested = bool(root.open_stages)
        root.open_stages.append(self)
        clock = kit.clock
        self.t0 = now()
        if clock is not None:
            self.mark = clock.begin(self)
        return self

    def close(self, error: BaseException | None = None) -> None:
        """End; `error` is what left the stage, if anything did."""
        if error is not None and not isinstance(error, GeneratorExit):
            self.fail(error)
        clock = self.root.kit.clock
        if clock is not None:
            clock.end(self)
        self.t1 = now()
        self.root.close_stage(self)

    def __enter__(self) -> Stage:
        self.open()
        self.prev = enter_context(self.ctx)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        leave_context(self.ctx, self.prev)
        self.prev = None
        self.close(error)

    async def __aenter__(self) -> Stage:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
