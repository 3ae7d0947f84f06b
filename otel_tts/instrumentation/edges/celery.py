# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Celery: each task is a request, whose id is the task's and whose trace is its producer's.

`build_tracer` makes the function that runs a task, in every kind of pool and around Celery's own signals, by which
OpenTelemetry's instrumentation makes its span. The context goes along in the message's headers, as it does there. A
task that is applied at once (``task_always_eager``) runs inside its caller, and is no task to us.

One that is revoked, or has expired, before work on it begins leaves its span all the same, from the worker's own
process; so does one whose process of the pool is killed for it, whose own span is gone with that process.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from otel_tts import names
from otel_tts.guard import contain
from otel_tts.instrumentation.edges.task import Task, carried_in, send_along
from otel_tts.instrumentation.wrapping import wrap_in

_running: Final[set[str]] = set()
"""Ids of the tasks that run in this process."""
_given_up: Final[deque[str]] = deque(maxlen=1000)
"""Ids of those that were ended here for having been revoked: their own spans say so."""

_FAILED: Final = frozenset({"FAILURE", "RETRY", "REJECTED"})


def patch(module: Any) -> None:
    """Hook the running or the sending of Celery's tasks."""
    if hasattr(module, "before_task_publish"):
        module.before_task_publish.connect(_send, weak=False, dispatch_uid="otel_tts")
        module.task_revoked.connect(_note_revoked, weak=False, dispatch_uid="otel_tts")
    else:
        wrap_in(module, "build_tracer", _build)


def _build(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    run = wrapped(*args, **kwargs)
    if kwargs.get("eager"):
        return run
    name = args[0] if args else kwargs.get("name")
    return contain("celery", _as_task, name, run) or run


def _as_task(name: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run)
    def trace_task(uuid: Any, args: Any, kwargs: Any, request: Any = None) -> Any:
        task = contain("celery", _begin, name, uuid, request)
        if task is None:
            return run(uuid, args, kwargs, request)
        error: BaseException | None = None
        _running.add(uuid)
        contain("celery", task.enter)
        try:
            done = run(uuid, args, kwargs, request)
            error = contain("celery", _error_of, done)
            return done
        except BaseException as raised:
            error = raised
            raise
        finally:
            _running.discard(uuid)
            contain("celery", task.leave)
            contain("celery", _end, task, uuid, error)
            del error  # with its traceback it would be a cycle

    return trace_task


def _end(task: Task, uuid: str, error: BaseException | None) -> None:
    """A greenlet that is killed is given up; its exception is the library's own, and no failure of the task."""
    if type(error).__name__ == "GreenletExit":
        _given_up.append(uuid)
        task.cancel()
        error = None
    task.end(error)


def _begin(name: Any, uuid: Any, request: Mapping[str, Any] | None) -> Task:
    message = request or {}
    attrs: dict[str, Any] = {names.MESSAGING_SYSTEM: "celery", names.TASK: name}
    delivery: Mapping[str, Any] = message.get("delivery_info") or {}
    if queue := delivery.get("routing_key"):
        attrs[names.MESSAGING_DESTINATION] = queue
    if retries := message.get("retries"):
        attrs[names.TASK_RETRIES] = retries
    return Task(f"{names.SPAN_TASK} {name}", uuid, carried_in(message), attrs)


def _error_of(done: Any) -> BaseException | None:
    """What Celery keeps of the exception that ended a task, one that asked for another try: what it was asked for."""
    info = done.info
    if info is None or info.state not in _FAILED:
        return None
    return getattr(info.retval, "exc", None) or info.retval


def _note_revoked(sender: Any = None, request: Any = None, **more: Any) -> None:
    if request is not None:
        contain("celery", _revoke, sender, request)


def _revoke(sender: Any, context: Any) -> None:
    if context.id in _running or context.id in _given_up:
        return
    task = _begin(sender.name, context.id, context.__dict__)
    task.cancel()
    task.end()


def _send(headers: Any = None, **more: Any) -> None:
    if headers is not None:
        contain("celery", send_along, headers)
