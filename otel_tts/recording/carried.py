# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The trace's way into another process: the ids of the current span and request as text, and a callable with them.

Spans stay in the process that made them. In the child the caller's span is a remote parent, as if the work had come by
HTTP; the child's own otel-tts, set up by the same environment, sends what happens there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_tts.guard import contain
from otel_tts.otel_private.context import current_context, enter_context, leave_context
from otel_tts.recording import request

Parcel = dict[str, str]

_REQUEST: Any = "request_id"
_CANARY: Any = "canary"
_format = TraceContextTextMapPropagator()


def pack() -> Parcel | None:
    """Return what another process needs to join the current trace and request; None where there is neither."""
    packed: Parcel = {}
    _format.inject(packed, current_context())
    web = request.current.get()
    if web is not None:
        packed[_REQUEST] = web.name_utterance()
        if web.canary:
            packed[_CANARY] = "true"
    return packed or None


class Opened:
    """A parcel in the process that it was sent to. None: nothing is joined, and nothing of the parent's stays."""

    def __init__(self, packed: Parcel | None) -> None:
        packed = packed or {}
        self._context = _format.extract(packed, Context())
        given = packed.get(_REQUEST)
        canary = _CANARY in packed
        self._web = request.Request(request.accept_id(given), perf_counter_ns(), canary=canary) if given else None

    def enter(self) -> tuple[Any, Any]:
        """Make it current; returns what `leave` takes."""
        return enter_context(self._context), request.current.set(self._web)

    def leave(self, token: Any, previous: Any) -> None:
        """Make current what was so before."""
        request.current.reset(previous)
        leave_context(self._context, token)


class Addressed:
    """A callable that joins the sender's trace in whichever process it is called. Pickled as `call` itself would be."""

    __slots__ = ("_call", "_packed")

    def __init__(self, call: Callable[..., Any], packed: Parcel) -> None:
        self._call, self._packed = call, packed

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        opened = contain("carrier", Opened, self._packed)
        entered = contain("carrier", opened.enter) if opened is not None else None
        try:
            return self._call(*args, **kwargs)
        finally:
            if opened is not None and entered is not None:
                contain("carrier", opened.leave, *entered)

    def __reduce__(self) -> Any:
        return Addressed, (self._call, self._packed)


def addressed(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return `call` bound to the current trace and request for another process; `call` itself where there is none.

    A child that runs another Python may lack otel-tts, and could not read it.
    """
    if not _same_python():
        return call
    packed = pack()
    return call if packed is None else Addressed(call, packed)


def _same_python() -> bool:
    spawn: Any = sys.modules.get("multiprocessing.spawn")
    given: Any = spawn.get_executable() if spawn is not None else None
    return given is None or (given.decode() if isinstance(given, bytes) else given) == sys.executable


def carried(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return `call` bound to the current trace and request; `call` itself where there is none.

    For hand-overs that no hook can see: ``queue.put(otel_tts.carried(job))``.
    """
    context, web = current_context(), request.current.get()
    if web is None and not trace.get_current_span(context).get_span_context().is_valid:
        return call

    def run(*args: Any, **kwargs: Any) -> Any:
        token, previous = enter_context(context), request.current.set(web)
        try:
            return call(*args, **kwargs)
        finally:
            request.current.reset(previous)
            leave_context(context, token)

    return run
