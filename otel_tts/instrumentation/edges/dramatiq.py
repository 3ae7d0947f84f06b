# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Dramatiq: each message is a request, whose id is the message's and whose trace is its producer's, in its options.

A broker tells its middleware what happens, on the worker's thread: ours is around all of it, so that what another one
sends on (a pipeline's next message) belongs to the task too.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from otel_tts import names
from otel_tts.guard import contain
from otel_tts.instrumentation.edges.task import Task, carried_in, send_along
from otel_tts.instrumentation.wrapping import wrap_in

_ENDS: Final = frozenset({"process_message", "skip_message"})
_working = threading.local()
"""The `task` that this thread works on."""


def patch(module: Any) -> None:
    """Hook what Dramatiq's brokers say."""
    wrap_in(module, "Broker.emit_before", _before)
    wrap_in(module, "Broker.emit_after", _after)


def _before(wrapped: Any, broker: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    signal = args[0] if args else kwargs.get("signal")
    if signal == "enqueue":
        contain("dramatiq", _send, *args)
    elif signal == "process_message":
        contain("dramatiq", _begin, *args)
    return wrapped(*args, **kwargs)


def _after(wrapped: Any, broker: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return wrapped(*args, **kwargs)
    finally:
        if (args[0] if args else kwargs.get("signal")) in _ENDS:
            contain("dramatiq", _end, kwargs.get("exception"))


def _send(signal: str, message: Any, *more: Any) -> None:
    send_along(message.options)


def _begin(signal: str, message: Any, *more: Any) -> None:
    attrs: dict[str, Any] = {
        names.MESSAGING_SYSTEM: "dramatiq",
        names.MESSAGING_DESTINATION: message.queue_name,
        names.TASK: message.actor_name,
    }
    if retries := message.options.get("retries"):
        attrs[names.TASK_RETRIES] = retries
    carried = carried_in(message.options)
    _working.task = task = Task(f"{names.SPAN_TASK} {message.actor_name}", message.message_id, carried, attrs)
    task.enter()


def _end(error: BaseException | None) -> None:
    task: Task | None = getattr(_working, "task", None)
    _working.task = None
    if task is not None:
        task.leave()
        task.end(error)
