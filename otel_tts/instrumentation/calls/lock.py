# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Locks that a server holds around its engine: waiting for one is the stage ``queue``.

The lock stands in a module; a proxy takes its place there, which asks first without waiting, so that a free lock costs
nothing and leaves nothing.
"""

from __future__ import annotations

import inspect
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry import trace

from otel_tts import names
from otel_tts.guard import contain
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.otel_private.context import current_context
from otel_tts.patches import replace
from otel_tts.record import now
from otel_tts.recording.recorder import current as current_recorder
from otel_tts.recording.synthesis import current

if TYPE_CHECKING:  # generic to the type checker since wrapt 2, never so at run time before
    _Proxy = wrapt.ObjectProxy[Any]
else:
    _Proxy = wrapt.ObjectProxy


class _Lock(_Proxy):
    """A lock or semaphore of threading whose waiting is noted as the stage `queue`."""

    def __init__(self, lock: Any, engine: str) -> None:
        super().__init__(lock)
        self._self_engine = engine

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        if self.__wrapped__.acquire(False):
            return True
        if not blocking:
            return False
        began = now()
        try:
            # What was not given is not passed on: -1 is for ever to a lock, and over already to a semaphore.
            return self.__wrapped__.acquire() if timeout is None else self.__wrapped__.acquire(True, timeout)
        finally:
            contain("lock", _note_waiting, self._self_engine, began)

    def __enter__(self) -> bool:
        return self.acquire()


class _AsyncLock(_Proxy):
    """An asyncio lock whose waiting is noted as the stage `queue`."""

    def __init__(self, lock: Any, engine: str) -> None:
        super().__init__(lock)
        self._self_engine = engine

    async def acquire(self) -> bool:
        if not self.__wrapped__.locked():
            return await self.__wrapped__.acquire()
        began = now()
        try:
            return await self.__wrapped__.acquire()
        finally:
            contain("lock", _note_waiting, self._self_engine, began)

    async def __aenter__(self) -> None:
        await self.acquire()


def place(module: Any, name: str, engine: str) -> None:
    """Let waiting for `module`'s lock `name` be seen, in a request of `engine`."""
    replace(module, name, partial(_seen, engine), HOOKS)


def _seen(engine: str, lock: Any) -> Any:
    proxy = _AsyncLock if inspect.iscoroutinefunction(lock.acquire) else _Lock
    return proxy(lock, engine)


def _note_waiting(engine: str, began: int) -> None:
    """Inside a synthesis it is one of its stages; before it, in a request, a span beside it."""
    recorder, synthesis = current_recorder(), current()
    if synthesis is not None:
        stage = synthesis.stage(names.Stage.QUEUE, device="cpu").open()
        stage.t0 = stage.since = began
        stage.close()
    elif recorder is not None and trace.get_current_span(current_context()).get_span_context().is_valid:
        attrs = {names.STAGE: names.Stage.QUEUE, names.ENGINE: engine}
        waited = recorder.span(names.SPAN_QUEUE, current_context(), began, time.time_ns() - now(), attrs)
        waited.t1 = now()
        recorder.finish(waited)
