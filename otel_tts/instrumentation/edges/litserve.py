# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""LitServe: its web process hands each request by a queue to a process that runs the model; trace and id go along.

They go on the request's uid, a string to everybody else, and the model's process makes them current when its loop says
that work on it starts. What a batched loop works on belongs to several requests, and so to none's trace.
"""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.context import Context

from otel_tts.guard import contain
from otel_tts.instrumentation.wrapping import wrap_in
from otel_tts.otel_private.context import enter_context
from otel_tts.recording import request
from otel_tts.recording.carried import Opened, Parcel, pack

_ENDS: Final = frozenset({"ERROR", "FINISH_STREAMING"})


def patch(module: Any) -> None:
    """Hook LitServe's queue or its loops."""
    wrap_in(module, "LitServer._get_request_queue", _give_queue, optional=True)
    wrap_in(module, "LitLoop.put_response", _put_response, optional=True)


class Uid(str):
    """A request's uid with the trace and the id that it belongs to."""

    parcel: Parcel | None = None


# --- the web process --------------------------------------------------------------------------------------------------


def _give_queue(wrapped: Any, server: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    queue = wrapped(*args, **kwargs)
    return contain("litserve", _Queue, queue) or queue


class _Queue:
    """The queue, as which it is pickled too: what is put is addressed."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def put(self, item: Any, *args: Any, **kwargs: Any) -> Any:
        return self._queue.put(contain("litserve", _address, item) or item, *args, **kwargs)

    def put_nowait(self, item: Any) -> Any:
        return self._queue.put_nowait(contain("litserve", _address, item) or item)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def __reduce__(self) -> Any:
        return self._queue.__reduce__()


def _address(item: tuple[Any, ...]) -> tuple[Any, ...] | None:
    consumer, uid, *rest = item
    packed = pack()
    if packed is None or not isinstance(uid, str):
        return None
    addressed = Uid(uid)
    addressed.parcel = packed
    return (consumer, addressed, *rest)


# --- the model's process ----------------------------------------------------------------------------------------------


def _put_response(wrapped: Any, loop: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    told = contain("litserve", _told, *args, **kwargs)
    if told is None or "Batch" in type(loop).__name__:
        return wrapped(*args, **kwargs)
    uid, status, kind = told
    if status == "START":
        contain("litserve", _start, uid)
    try:
        return wrapped(*args, **kwargs)
    finally:
        if status in _ENDS or (status == "OK" and kind == "REGULAR"):
            contain("litserve", _stop)


def _told(
    transport: Any, response_queue_id: Any, uid: str, response_data: Any, status: Any, response_type: Any
) -> tuple[str, str, str]:
    return uid, _word(status), _word(response_type)


def _word(value: Any) -> str:
    return str(getattr(value, "name", value))


def _start(uid: str) -> None:
    """Until the next request, or its end: a loop works on one after the other, or each in a task of its own."""
    Opened(getattr(uid, "parcel", None)).enter()


def _stop() -> None:
    enter_context(Context())
    request.current.set(None)
