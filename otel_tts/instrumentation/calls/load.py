# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Loading a model is a span of its own: inside a request one of its children, and that request a cold start."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final

from otel_tts import names
from otel_tts.engines.table import Engine
from otel_tts.guard import contain
from otel_tts.instrumentation.callables import COROUTINE, kind_of
from otel_tts.otel_private.context import current_context, enter_context, leave_context
from otel_tts.record import PlainSpan, now
from otel_tts.recording.recorder import current as current_recorder
from otel_tts.recording.synthesis import current

_loading: Final[ContextVar[tuple[str, ...]]] = ContextVar("otel_tts_loading", default=())
"""Engines that are being loaded here: a loader that calls another one of the same engine is one load."""


def call_load(
    engine: Engine, version: str | None, wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call `wrapped`, which loads a model of `engine`; its result, exceptions and kind stay what they are."""
    if current_recorder() is None or engine.name in _loading.get():
        return wrapped(*args, **kwargs)
    if kind_of(wrapped) == COROUTINE:
        return _await(_Load(engine, version), wrapped(*args, **kwargs))
    with _Load(engine, version):
        return wrapped(*args, **kwargs)


async def _await(load: _Load, coroutine: Coroutine[Any, Any, Any]) -> Any:
    with load:
        return await coroutine


class _Load:
    """One load, from enter to exit. No local of a frame holds its error (`calls/entry.py` says why)."""

    __slots__ = ("_engine", "_loads", "_span", "_token", "_version")

    def __init__(self, engine: Engine, version: str | None) -> None:
        self._engine, self._version = engine, version
        self._span: PlainSpan | None = None
        self._token: Any = None
        self._loads: Token[tuple[str, ...]] | None = None

    def __enter__(self) -> None:
        contain("load", self._begin)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        contain("load", self._leave)
        contain("load", self._end, error)

    def _begin(self) -> None:
        recorder = current_recorder()
        if recorder is None:
            return
        engine = self._engine
        synthesis = current()
        if synthesis is not None:
            synthesis.mark_cold(names.ColdStart.MODEL_LOAD)
        facts = {names.ENGINE: engine.name, names.ENGINE_VERSION: self._version, names.MODEL: engine.model}
        attrs = {name: value for name, value in facts.items() if value is not None}
        began = now()
        self._span = span = recorder.span(
            names.SPAN_MODEL_LOAD, current_context(), began, time.time_ns() - began, attrs
        )
        self._loads = _loading.set((*_loading.get(), engine.name))
        self._token = enter_context(span.inside)

    def _leave(self) -> None:
        if self._span is not None and self._token is not None:
            leave_context(self._span.inside, self._token)
        if self._loads is not None:
            _loading.reset(self._loads)

    def _end(self, error: BaseException | None) -> None:
        span, recorder = self._span, current_recorder()
        if span is None:
            return
        if error is not None:
            span.fail(error)
        span.t1 = now()
        if recorder is not None:
            recorder.finish(span)
