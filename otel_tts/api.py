# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The public way for own code: a synthesis and its stages as ``with`` blocks or decorators, sync, async, generators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import wrapt
from opentelemetry._logs import NoOpLoggerProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

from otel_tts import names
from otel_tts.emit import recorder
from otel_tts.emit.recorder import Recorder
from otel_tts.engine import Chunk, Engine, Entry
from otel_tts.settings import Settings
from otel_tts.stage import Stage
from otel_tts.synthesis import Synthesis, current

F = TypeVar("F", bound=Callable[..., Any])


class synthesis:
    """One synthesis of your own code.

    As a block: ``with otel_tts.synthesis("my-model", text=text) as s:``. As a decorator of a function, coroutine
    function, generator or async generator: ``@otel_tts.synthesis("m", text_argument="text", sample_rate=24000)``;
    what the function returns or yields is then read as samples at that rate.

    `model`, `engine`, `voice`, `language` name things; `text` is measured (its length) and not kept; `request_id`
    replaces the web request's. The span is current inside the block; a stream belongs into the decorated generator,
    since a block around a ``yield`` would leave its span current in the caller.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        engine: str | None = None,
        text: str | None = None,
        voice: str | None = None,
        language: str | None = None,
        request_id: str | None = None,
        text_argument: str | None = None,
        sample_rate: int | None = None,
    ) -> None:
        self._model = model
        self._facts = {
            names.MODEL: model,
            names.ENGINE: engine,
            names.PROVIDER: engine,
            names.TEXT_LENGTH: len(text) if text is not None else None,
            names.VOICE: voice,
            names.TEXT_LANGUAGE: language,
            names.REQUEST_ID: accept(request_id),
        }
        self._text_argument, self._sample_rate = text_argument, sample_rate
        self._open: Synthesis | None = None

    def __enter__(self) -> Synthesis:
        facts = {name: value for name, value in self._facts.items() if value is not None}
        self._open = Synthesis(recorder.current() or _silent(), facts)
        return self._open.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._open is not None:
            self._open.__exit__(kind, error, traceback)

    async def __aenter__(self) -> Synthesis:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        from otel_tts.instrumentation.entries import call_entry

        name = self._facts[names.ENGINE] or function.__module__.partition(".")[0]
        engine = Engine(name=str(name), module="", distribution="", entries=(), model=self._model)
        entry = Entry(
            function.__qualname__,
            text=self._text_argument,
            chunk=Chunk() if self._sample_rate is not None else None,
            sample_rate=self._sample_rate,
            voice=lambda _: self._facts[names.VOICE],
            language=lambda _: self._facts[names.TEXT_LANGUAGE],
        )

        def run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return call_entry(engine, entry, None, wrapped, instance, args, kwargs)

        return _like(function, run)


class stage:
    """A stage of the current synthesis: ``with otel_tts.stage("vocoder"):`` or ``@otel_tts.stage("vocoder")``.

    Outside of a synthesis it does nothing. See `otel_tts.Stage` for the names of the usual stages.
    """

    def __init__(self, name: str, **attributes: Any) -> None:
        self._name, self._attributes = name, attributes
        self._open: Stage | None = None

    def __enter__(self) -> Stage | None:
        inside = current()
        self._open = inside.stage(self._name, **self._attributes).__enter__() if inside is not None else None
        return self._open

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._open is not None:
            self._open.__exit__(kind, error, traceback)

    async def __aenter__(self) -> Stage | None:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        from otel_tts.instrumentation.stages import run_stage

        def run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return run_stage(self._name, wrapped, args, kwargs)

        return _like(function, run)


def _like(function: F, run: Callable[..., Any]) -> F:
    """Return a proxy of `function` that looks like it to ``inspect`` and binds like it to instances."""
    wrapper: Any = wrapt.FunctionWrapper(function, run)
    return wrapper


def accept(request_id: str | None) -> str | None:
    """Return a request id that was given as it is where it is harmless, another in its place where not."""
    from otel_tts import request

    return request.accept_id(request_id) if request_id is not None else None


@functools.cache
def _silent() -> Recorder:
    """Stands in while otel-tts is not configured: the blocks work, nothing is made."""
    return Recorder(
        NoOpTracerProvider(), NoOpMeterProvider(), NoOpLoggerProvider(), Settings(log_format="none"), interval=None
    )
