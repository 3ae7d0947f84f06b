# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Workers that were started before any request and take jobs from a queue: the trace goes along on the job.

A job is an object that the request makes and puts on a queue; the worker reads a field of it before it does the work.
So the field is watched: who writes it (the job's maker, in the request) leaves the context on the job, and who reads it
in another thread takes the context over for the next call of the seam in that thread. The queue itself is not touched.
"""

from __future__ import annotations

import inspect
import logging
import operator
import threading
from collections.abc import Callable
from typing import Any, Final, cast

from opentelemetry.context import Context

from otel_tts.guard import contain
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.otel_private.context import current_context, enter_context, leave_context
from otel_tts.patches import is_patched, put
from otel_tts.recording.synthesis import current

_logger = logging.getLogger("otel_tts")

_NOTE: Final = "_otel_tts_job"
"""Attribute of a job."""

_taken = threading.local()
"""What this thread has read of a job and not yet begun to work on: `which` field, and the `context` of its maker."""


class Note:
    """The context in which a job was made. A job may be copied, pickled, sent to another process: then it is empty."""

    __slots__ = ("context", "thread")

    def __init__(self, context: Context | None = None) -> None:
        self.context, self.thread = context, threading.get_ident()

    def __reduce__(self) -> Any:
        return Note, ()

    def __deepcopy__(self, memo: Any) -> Note:
        return Note()


class Field:
    """Stands for a job's field: keeps it in the instance's own dictionary, where it was before.

    `of_class` is what the class has under its name, if anything.
    """

    def __init__(self, which: str, name: str, *of_class: Any) -> None:
        self._which, self._name = which, name
        if of_class:
            (self.__wrapped__,) = of_class

    def __set__(self, job: Any, value: Any) -> None:
        vars(job)[self._name] = value
        contain("job", _leave_note, job)

    def __get__(self, job: Any, owner: Any = None) -> Any:
        if job is None:
            return self._class_value(owner)
        contain("job", _take_note, job, self._which)
        try:
            return cast("dict[str, Any]", vars(job))[self._name]
        except KeyError:
            return self._class_value(type(job))

    def __delete__(self, job: Any) -> None:
        try:
            del vars(job)[self._name]
        except KeyError:
            raise AttributeError(self._name) from None

    def _class_value(self, owner: Any) -> Any:
        try:
            return self.__wrapped__
        except AttributeError:
            raise AttributeError(f"type object {owner.__name__!r} has no attribute {self._name!r}") from None


def _leave_note(job: Any) -> None:
    if _NOTE not in vars(job) and current() is not None:
        vars(job)[_NOTE] = Note(current_context())


def _take_note(job: Any, which: str) -> None:
    note: Note | None = cast("dict[str, Any]", vars(job)).get(_NOTE)
    if note is None:
        take(which)  # nobody's job, after one that was read and never worked on
    elif note.thread != threading.get_ident():
        _taken.which, _taken.context = which, note.context


def take(which: str) -> Context | None:
    """Return the context of the job that this thread has read last and not yet worked on, and forget it."""
    if getattr(_taken, "which", None) != which:
        return None
    context, _taken.which, _taken.context = _taken.context, None, None
    return context


def in_context(which: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """Return the wrapt function `work`, called in the context of the job whose field `which` this thread has read."""

    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        context = contain("job", take, which)
        token = contain("job", enter_context, context) if context is not None else None
        try:
            return work(wrapped, instance, args, kwargs)
        finally:
            if context is not None and token is not None:
                contain("job", leave_context, context, token)

    return wrapper


def place(module: Any, which: str) -> None:
    """Watch the field `which` (``"Class.field"``) of `module`; said once where that cannot be done."""
    path, _, name = which.rpartition(".")
    owner: Any = operator.attrgetter(path)(module) if _exists(module, path) else None
    if isinstance(owner, type) and is_patched(owner, name):
        return
    if not _can_watch(owner, name):
        _logger.warning(
            "otel-tts: %s has no class %s whose field %s can be watched; its workers are traced without a request",
            module.__name__, path, name,
        )  # fmt: skip
        return
    put(owner, name, Field(which, name, *([vars(owner)[name]] if name in vars(owner) else ())), HOOKS)


def _exists(module: Any, path: str) -> bool:
    try:
        operator.attrgetter(path)(module)
    except AttributeError:
        return False
    return True


def _can_watch(owner: Any, name: str) -> bool:
    """Whether instances keep the field in a dictionary of their own, in the way of ordinary objects."""
    if not isinstance(owner, type) or not owner.__dictoffset__ or owner.__setattr__ is not object.__setattr__:
        return False
    return not inspect.isdatadescriptor(inspect.getattr_static(cast("Any", owner), name, None))
