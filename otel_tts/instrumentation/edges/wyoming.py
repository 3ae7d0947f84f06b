# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Wyoming, the protocol of Home Assistant's voices: what is asked to be said is one request, however many sentences.

It comes in one event (``synthesize``), or in several from ``synthesize-start`` to ``synthesize-stop``. The protocol has
no headers: the trace and the id (``traceparent``, ``x-request-id``) stand in the first event's data, or in its
``context``. An event that nobody reads there is ignored by every server.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from otel_tts import names
from otel_tts.guard import contain
from otel_tts.instrumentation.edges.task import Task, carried_in, send_along
from otel_tts.instrumentation.wrapping import wrap_in
from otel_tts.recording.server import ServerSpan

_WHOLE, _START, _STOP = "synthesize", "synthesize-start", "synthesize-stop"
_BEGINS: Final = frozenset({_WHOLE, _START})
_ID: Final = "x-request-id"


def patch(module: Any) -> None:
    """Hook a server's clients, or a client's events."""
    wrap_in(module, *_HOOKED[module.__name__])


# --- a server ---------------------------------------------------------------------------------------------------------


async def _run(wrapped: Any, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    client = contain("wyoming", _Client, handler)
    try:
        return await wrapped(*args, **kwargs)
    finally:
        if client is not None:
            contain("wyoming", client.gone)


class _Client:
    """One connection: stands before its handler's ``handle_event``, and keeps the request that is under way."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        self._handle: Callable[[Any], Awaitable[Any]] = handler.handle_event
        self._task: Task | None = None
        handler.handle_event = self.handle

    async def handle(self, event: Any) -> Any:
        """Handle an event as a part of its request."""
        task = contain("wyoming", self._task_of, event)
        if task is None:
            return await self._handle(event)
        error: BaseException | None = None
        contain("wyoming", task.enter)
        try:
            return await self._handle(event)
        except BaseException as raised:
            error = raised
            raise
        finally:
            contain("wyoming", task.leave)
            contain("wyoming", self._note_end, task, event, error)
            del error  # with its traceback it would be a cycle

    def _task_of(self, event: Any) -> Task | None:
        if self._task is None and event.type in _BEGINS:
            self._task = _begin(event.type, event.data or {})
        return self._task

    def _note_end(self, task: Task, event: Any, error: BaseException | None) -> None:
        streams = task.request.session
        if error is None and (event.type != _STOP if streams else event.type != _WHOLE):
            return
        self._task = None
        if self._handler.writer.is_closing():
            task.cancel()
            error = None if isinstance(error, ConnectionError) else error
        task.end(error)

    def gone(self) -> None:
        """The connection is over: what is still under way is for nobody."""
        vars(self._handler).pop("handle_event", None)
        if (task := self._task) is not None:
            self._task = None
            task.cancel()
            task.end()


def _begin(kind: str, data: Mapping[str, Any]) -> Task:
    context: Any = data.get("context")
    headers: dict[str, Any] = {**(context if isinstance(context, dict) else {}), **data}
    attrs: dict[str, Any] = {names.PROTOCOL: "wyoming"}
    task = Task(names.SPAN_WYOMING, headers.get(_ID), carried_in(headers), attrs, ServerSpan)
    task.request.session = kind == _START  # its sentences are asked for one after the other
    task.request.answers = True
    return task


# --- a client ---------------------------------------------------------------------------------------------------------


def _write(wrapped: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if args and not kwargs:
        args = contain("wyoming", _with_context, *args) or args
    return wrapped(*args, **kwargs)


def _with_context(event: Any) -> tuple[Any, ...] | None:
    """The caller's event stays as it is: it may send it again."""
    if event.type not in _BEGINS:
        return None
    data = dict(event.data or {})
    if carried_in(data.get("context") or {}):
        return None
    send_along(data)
    return (dataclasses.replace(event, data=data),)


_HOOKED: Final[dict[str, tuple[str, Callable[..., Any]]]] = {
    "wyoming.server": ("AsyncEventHandler.run", _run),
    "wyoming.client": ("AsyncClient.write_event", _write),
}
