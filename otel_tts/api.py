# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The public way for own code: a synthesis and its stages as ``with`` blocks or decorators, sync, async, generators."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from opentelemetry import trace
from opentelemetry.trace import NoOpTracerProvider

from otel_tts import late_numpy, names
from otel_tts.audio.samples.arrays import ENCODINGS, rate_of
from otel_tts.engines.table import Chunk, Engine, Entry
from otel_tts.otel_private.context import current_context
from otel_tts.recording import recorder, request
from otel_tts.recording.block import Block
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.stage import StageSpan
from otel_tts.recording.synthesis import Synthesis, current
from otel_tts.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
Opened = TypeVar("Opened", Synthesis, StageSpan)


class synthesis(Block):
    """One synthesis of your own code.

    As a block: ``with otel_tts.synthesis("my-model", text=text) as s:``. As a decorator of a function, coroutine
    function, generator or async generator: ``@otel_tts.synthesis("m", text_argument="text", sample_rate=24000)``;
    what the function returns or yields is then read as samples at that rate. A result that names its own rate needs
    none: ``(samples, rate)``, ``(rate, samples)``, ``{"audio": …, "sampling_rate": …}``; neither do the bytes of a
    file. Of other bytes `encoding` says what is in them: ``"pcm16"`` or ``"float32"``, little-endian, mono, cut
    anywhere.

    `model`, `engine`, `voice`, `language` name things; `text` is measured (its length) and not kept; `request_id`
    replaces the web request's. The span is current inside the block; a stream belongs into the decorated generator,
    since a block around a ``yield`` would leave its span current in the caller.

    A decorator that cannot work raises TypeError where it is written. What runs in a request never raises: an
    argument of the wrong type is left out, a fault of ours is contained.
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
        encoding: str | None = None,
    ) -> None:
        _check_parentheses("synthesis", model)
        self._model = _text_of(model)
        self._facts = {
            names.MODEL: self._model,
            names.ENGINE: _text_of(engine),
            names.PROVIDER: _text_of(engine),
            names.TEXT_LENGTH: len(text) if isinstance(text, str) else None,
            names.VOICE: _text_of(voice),
            names.TEXT_LANGUAGE: _text_of(language),
            names.REQUEST_ID: request.accept_id(_text_of(request_id)) if request_id is not None else None,
        }
        self._text_argument, self._sample_rate, self._encoding = text_argument, sample_rate, encoding
        self._open: list[Synthesis | None] = []

    def __enter__(self) -> Synthesis:
        facts = {name: value for name, value in self._facts.items() if value is not None}
        opened = Synthesis(recorder.current() or _silent(), facts).__enter__()
        self._open.append(opened)
        return opened

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        opened = _take_from(self._open)
        if opened is not None:
            opened.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        from otel_tts.instrumentation.calls.entry import call_entry
        from otel_tts.instrumentation.calls.plan import Plan

        if self._facts[names.TEXT_LENGTH] is not None or self._facts[names.REQUEST_ID] is not None:
            raise TypeError(
                "@otel_tts.synthesis: text and request_id belong to one call; name the text_argument instead"
            )
        _check_argument(function, self._text_argument)
        if self._encoding is not None and self._encoding not in ENCODINGS:
            raise TypeError(f"@otel_tts.synthesis: encoding is one of {', '.join(ENCODINGS)}, not {self._encoding!r}")
        if self._encoding is not None:
            late_numpy.load()  # bytes may be all that this process knows of audio
        name = self._facts[names.ENGINE] or function.__module__.partition(".")[0]
        engine = Engine(name=str(name), module="", distribution="", entries=(), model=self._model)
        entry = Entry(
            function.__qualname__,
            text=self._text_argument,
            chunk=Chunk(encoding=self._encoding, optional=self._sample_rate is None and self._encoding is None),
            sample_rate=rate_of(self._sample_rate),
            voice=lambda _: self._facts[names.VOICE],
            language=lambda _: self._facts[names.TEXT_LANGUAGE],
        )

        return _like(function, functools.partial(call_entry, Plan(engine, entry)))


class stage(Block):
    """A stage of the current synthesis: ``with otel_tts.stage("vocoder"):`` or ``@otel_tts.stage("vocoder")``.

    Outside of a synthesis it does nothing, and ``as`` gives a span that takes everything and keeps nothing. See
    `otel_tts.Stage` for the names of the usual stages. `device` ``"cpu"`` says that it does nothing on a GPU, which its
    clock cannot find out by itself. `attributes` leave only where their names are listed
    (OTEL_TTS_ALLOW_ATTRIBUTES).
    """

    def __init__(self, name: str, *, device: str | None = None, **attributes: Any) -> None:
        _check_parentheses("stage", name)
        self._name, self._device, self._attributes = name, device, attributes
        self._open: list[StageSpan | None] = []

    def __enter__(self) -> trace.Span:
        inside, opened = current(), None
        if inside is not None:
            opened = inside.stage(self._name, device=self._device, **self._attributes).__enter__()
        self._open.append(opened)
        return opened if opened is not None else trace.INVALID_SPAN

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        opened = _take_from(self._open)
        if opened is not None:
            opened.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        from otel_tts.instrumentation.calls.seam import run_stage

        def run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return run_stage(self._name, wrapped, args, kwargs, attributes=self._attributes, device=self._device)

        return _like(function, run)


def _like(function: F, run: Callable[..., Any]) -> F:
    """Return a proxy of `function` that looks like it to ``inspect`` and binds like it to instances."""
    from otel_tts.instrumentation.callables import Hook

    wrapper: Any = Hook(function, run)
    return wrapper


def _take_from(opened: list[Opened | None]) -> Opened | None:
    """Remove and return what a block is to end: it may be entered by many requests at once, and inside itself."""
    try:
        mine = opened[0] if len(opened) == 1 else _find_mine(opened)
        opened.remove(mine)  # None: entered where there was nothing to open
    except (IndexError, ValueError):
        return None
    return mine


def _find_mine(opened: list[Opened | None]) -> Opened | None:
    inside = current_context()
    mine = next((each for each in reversed(opened) if getattr(each, "inside", None) is inside), None)
    if mine is None and opened and None not in opened:  # somebody has left a context of his own
        mine = opened[-1]
    return mine


def _text_of(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _check_parentheses(name: str, first: object) -> None:
    if callable(first) or isinstance(first, (classmethod, staticmethod)):
        raise TypeError(f"@otel_tts.{name} is written with parentheses: @otel_tts.{name}(...)")


def _check_argument(function: Callable[..., Any], argument: str | None) -> None:
    """A misspelled argument would be a length that is never known: said where the decorator is written."""
    if argument is None:
        return
    try:
        parameters = inspect.signature(getattr(function, "__func__", function)).parameters
    except (TypeError, ValueError):
        return
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    if argument not in parameters and not takes_any:
        raise TypeError(
            f"@otel_tts.synthesis: {function.__qualname__} has no argument {argument!r}; it has {', '.join(parameters)}"
        )


@functools.cache
def _silent() -> Recorder:
    """Stands in while otel-tts is not configured: the blocks work, nothing is made, nothing is kept."""
    return Recorder(NoOpTracerProvider(), Settings(log_format="none", clock="host", nvml_interval=0))
