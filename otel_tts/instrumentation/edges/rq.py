# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""RQ: each job is a request, whose id is the job's and whose trace is its producer's, in the job's ``meta``."""

from __future__ import annotations

from typing import Any

from otel_tts import names
from otel_tts.guard import contain
from otel_tts.instrumentation.edges.task import Task, carried_in, send_along
from otel_tts.instrumentation.wrapping import wrap_in


def patch(module: Any) -> None:
    """Hook the making and the running of RQ's jobs."""
    wrap_in(module, "Job.create", _create)
    wrap_in(module, "Job.perform", _perform)


def _create(wrapped: Any, cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    job = wrapped(*args, **kwargs)
    contain("rq", _send, job)
    return job


def _send(job: Any) -> None:
    send_along(job.meta)


def _perform(wrapped: Any, job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    task = contain("rq", _begin, job)
    if task is None:
        return wrapped(*args, **kwargs)
    error: BaseException | None = None
    contain("rq", task.enter)
    try:
        return wrapped(*args, **kwargs)
    except BaseException as raised:
        error = raised
        raise
    finally:
        contain("rq", task.leave)
        contain("rq", task.end, error)
        del error  # with its traceback it would be a cycle


def _begin(job: Any) -> Task:
    attrs: dict[str, Any] = {names.MESSAGING_SYSTEM: "rq", names.TASK: job.func_name}
    if job.origin:
        attrs[names.MESSAGING_DESTINATION] = job.origin
    return Task(f"{names.SPAN_TASK} {job.func_name}", job.id, carried_in(job.meta or {}), attrs)
