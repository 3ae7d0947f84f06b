# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A task that comes in where no web server is: its id, the trace that it belongs to, and its span.

The span is a late one, as that of a web request (see `otel_tts.instrumentation.edges.serving`), and stands aside for
one that somebody else has made. A task that fails before it comes to an engine is seen by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableMapping
from contextvars import Token
from time import perf_counter_ns
from typing import Any, Final

from opentelemetry import propagate, trace
from opentelemetry.context import Context

from otel_tts import names
from otel_tts.instrumentation.edges import serving
from otel_tts.otel_private.context import current_context, enter_context, leave_context
from otel_tts.record import PlainSpan
from otel_tts.recording import request
from otel_tts.recording.recorder import current as current_recorder
from otel_tts.recording.server import ServerSpan, TaskSpan

GIVEN_UP: Final = (asyncio.CancelledError, GeneratorExit)
"""What says that nobody waits for the answer any more."""


class Task:
    """One task, from the moment when work on it begins to its end. Current between `enter` and `leave`."""

    def __init__(
        self,
        name: str,
        given: Any,
        carried: Mapping[str, str],
        attrs: dict[str, Any],
        form: type[ServerSpan] = TaskSpan,
    ) -> None:
        """`given` is the id that it came with, `carried` what its caller's context came in (see `carried_in`)."""
        given = given if isinstance(given, str) else None
        self.request = request.Request(request.accept_id(given), perf_counter_ns(), kind=form.kind)
        self.request.given = self.request.id == given
        span = None
        if not serving.makes_none(self.request):
            span = serving.open_span(self.request, carried, attrs, None, name, form)
        self._inside = span.inside if span is not None else None
        self._entered: Token[Context] | Any = None
        self._before: Token[request.Request | None] | None = None

    @property
    def span(self) -> PlainSpan | None:
        """The span while it is ours and open."""
        return self.request.own

    def enter(self) -> None:
        """What is called from here on is for this task."""
        self._before = request.current.set(self.request)
        if self._inside is not None:
            self._entered = enter_context(self._inside)

    def leave(self) -> None:
        """What is called from here on is not for it."""
        if self._inside is not None:
            leave_context(self._inside, self._entered)
        if self._before is not None:
            request.leave(self._before)

    def end(self, error: BaseException | None = None) -> None:
        """Work on it is over; `error` has ended it. Only the first call counts."""
        if isinstance(error, GIVEN_UP):
            self.cancel()
            error = None
        self.request.end(perf_counter_ns())
        serving.end_span(self.request, error)

    def cancel(self) -> None:
        """Nobody waits for it any more, nor for what was made for it last."""
        for record in (self.span, self.request.synthesis):
            if record is not None and record.inside is not None:
                record.attrs[names.OUTCOME] = names.Outcome.CANCELLED


def carried_in(message: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of `message` that a caller's context comes in: those of the global propagator."""
    return {field: value for field in serving.propagation_fields() if isinstance(value := message.get(field), str)}


def send_along(message: MutableMapping[str, Any]) -> None:
    """Let the current trace go along in the headers of `message`, unless somebody has put one there."""
    context = current_context()
    if current_recorder() is None or not trace.get_current_span(context).get_span_context().is_valid:
        return
    if not carried_in(message):
        propagate.inject(message, context)
