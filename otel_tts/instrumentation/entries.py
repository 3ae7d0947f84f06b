# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A call of an engine's entry: opens a synthesis or joins the open one, and reads the table's facts from the call."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Coroutine, Mapping
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

import numpy as np
from opentelemetry.context import Context

from otel_tts import names
from otel_tts.audio.reading import rate_of
from otel_tts.emit import recorder
from otel_tts.emit.span_private import current_context, enter_context, leave_context
from otel_tts.engine import Call, Engine, Entry, Reader
from otel_tts.gpu.fallback import kind_of_device
from otel_tts.guard import contain
from otel_tts.instrumentation.kinds import ASYNC_GENERATOR, COROUTINE, GENERATOR, kind_of
from otel_tts.record import now
from otel_tts.streaming import Take, iterate, iterate_async
from otel_tts.synthesis import Synthesis, current


def call_entry(
    engine: Engine,
    entry: Entry,
    version: str | None,
    wrapped: Callable[..., Any],
    instance: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Call `wrapped` as one synthesis of `engine`; its result, exceptions and kind stay what they are."""
    if recorder.current() is None:
        return wrapped(*args, **kwargs)
    kind = kind_of(wrapped)
    call = _EntryCall(engine, entry, version, wrapped, instance, args, kwargs)
    if kind == GENERATOR:
        return iterate(wrapped(*args, **kwargs), call)
    if kind == ASYNC_GENERATOR:
        return iterate_async(wrapped(*args, **kwargs), call)
    if kind == COROUTINE:
        return _await(wrapped(*args, **kwargs), call, call)
    return _run(call, wrapped, args, kwargs)


def _run(call: _EntryCall, wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a plain function. What it returns to iterate or to await (IndexTTS's ``stream_return``) goes on inside."""
    synthesis, own = contain("entry", call.begin) or (None, False)
    if synthesis is None:
        return wrapped(*args, **kwargs)
    with _Inside(call, synthesis, own) as inside:
        return inside.hand_over(wrapped(*args, **kwargs))


async def _await(coroutine: Coroutine[Any, Any, Any], starter: _EntryCall | _Continued, call: _EntryCall) -> Any:
    synthesis, own = contain("entry", starter.begin) or (None, False)
    if synthesis is None:
        return await coroutine
    with _Inside(call, synthesis, own) as inside:
        return inside.hand_over(await coroutine)


class _Inside:
    """The part of a call that runs inside its synthesis.

    No local of a frame may hold the error: with its traceback that is a cycle, which keeps the engine's frames and
    their tensors until the collector comes by.
    """

    __slots__ = ("_call", "_entered", "_goes_on", "_own", "_synthesis")

    def __init__(self, call: _EntryCall, synthesis: Synthesis, own: bool) -> None:
        self._call, self._synthesis, self._own = call, synthesis, own
        self._goes_on = False

    def __enter__(self) -> _Inside:
        self._entered = contain("entry", _enter, self._synthesis)
        return self

    def hand_over(self, result: Any) -> Any:
        """Note the result and return it; a generator or coroutine is returned as one that goes on inside."""
        rest = contain("entry", _rest_of, result, self._call, self._synthesis, self._own)
        if rest is not None:
            self._goes_on = True
            return rest
        contain("entry", self._call.returned, self._synthesis, result)
        return result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        contain("entry", _exit, self._synthesis, self._entered, self._own)
        if self._own and not self._goes_on:
            contain("entry", self._synthesis.finish, error)


def _rest_of(result: Any, call: _EntryCall, synthesis: Synthesis, own: bool) -> Any:
    """Return what goes on inside `synthesis` in place of a generator or coroutine; None for any other result."""
    listener = _Continued(call, synthesis, own)
    rest: Any = None
    if inspect.isgenerator(result):
        rest = iterate(result, listener)
    elif inspect.isasyncgen(result):
        rest = iterate_async(result, listener)
    elif inspect.iscoroutine(result):
        rest = _await(result, listener, call)
    if rest is not None:
        weakref.finalize(rest, listener.dropped).atexit = False
    return rest


_Entered = tuple[Context, Any, int]
"""The context inside (a synthesis that is over by the time of `_exit` no longer has it), its token, the time."""


def _enter(synthesis: Synthesis) -> _Entered | None:
    inside = synthesis.ctx
    if inside is None:  # over since we looked # pyright: ignore[reportUnnecessaryComparison]
        return None
    token = enter_context(inside)
    synthesis.depth += 1
    return inside, token, now()


def _exit(synthesis: Synthesis, entered: _Entered | None, own: bool) -> None:
    if entered is None:
        return
    inside, token, began = entered
    leave_context(inside, token)
    synthesis.depth -= 1
    if own:
        synthesis.busy += now() - began


_IDENTITY: Final = frozenset({names.ENGINE_VERSION, names.PROVIDER, names.MODEL})
"""Facts that belong to the engine's name: not filled in beside a name that the caller gave."""


class _EntryCall:
    """One call: knows its table, makes the synthesis, reads the samples of what comes out."""

    def __init__(
        self,
        engine: Engine,
        entry: Entry,
        version: str | None,
        wrapped: Callable[..., Any],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.engine, self.entry, self.version = engine, entry, version
        self._wrapped, self._instance, self._args, self._kwargs = wrapped, instance, args, kwargs
        self._context = current_context()
        self._streams = kind_of(wrapped) in (GENERATOR, ASYNC_GENERATOR)
        self._rate: int | None = None
        self._delivers = False
        self._chunk = entry.chunk
        self._given: Mapping[str, Any] | None = None

    def begin(self) -> tuple[Synthesis | None, bool]:
        """Join the open synthesis, or start one that belongs where the call was made."""
        kit = recorder.current()
        if kit is None:
            return None, False
        call = Call(self._instance, _bind(self._wrapped, self._args, self._kwargs))
        if self._chunk is not None and self._chunk.given:
            self._given = call.arguments
        rate = self.entry.sample_rate
        self._rate = rate_of(rate if isinstance(rate, int) else _read(rate, call)) or self.engine.sample_rate
        outer = current()
        if outer is not None:
            self._join(outer, call)
            return outer, False
        synthesis = Synthesis(kit, self._facts(call), self.engine)
        synthesis.start(self._context)
        self._delivers = True
        return synthesis, True

    def _join(self, outer: Synthesis, call: Call) -> None:
        """An own ``with otel_tts.synthesis()`` learns the engine; an outer entry of a table knows it already."""
        self._delivers = not outer.depth
        if self._delivers:
            self._add_up(outer, call)
        if outer.engine is not None:
            return
        outer.engine = self.engine
        named = names.ENGINE in outer.attrs
        for name, value in self._facts(call).items():
            if not (named and name in _IDENTITY):
                outer.attrs.setdefault(name, value)
        if not named and self.engine.name not in outer.kit.warm:
            outer.kit.warm.add(self.engine.name)
            outer.attrs[names.COLD_START] = True

    def _add_up(self, outer: Synthesis, call: Call) -> None:
        """Several calls inside one own block are one text and one piece of audio, unless the caller said what is."""
        if isinstance(outer.source, Entry):
            outer.source = None
        length = _length(_read(self.entry.text, call))
        if length is not None and outer.attrs.get(names.TEXT_LENGTH, 0) == outer.text_seen:
            outer.text_seen += length
            outer.attrs[names.TEXT_LENGTH] = outer.text_seen

    def _facts(self, call: Call) -> dict[str, Any]:
        engine, entry = self.engine, self.entry
        facts: dict[str, Any] = {
            names.ENGINE: engine.name,
            names.ENGINE_VERSION: self.version,
            names.PROVIDER: engine.name,
            names.MODEL: _fact(entry.model, call) or engine.model,
            names.TEXT_LENGTH: _length(_read(entry.text, call)),
            names.TEXT_LANGUAGE: _fact(entry.language, call),
            names.VOICE: _fact(entry.voice, call),
            names.DEVICE: kind_of_device(_read(entry.device, call)),
        }
        for name, reader in entry.facts.items():
            facts[name] = _fact(reader, call)
        if self._streams:
            facts[names.STREAM] = True
        return {name: value for name, value in facts.items() if value is not None}

    def item(self, synthesis: Synthesis, item: Any, at: int) -> Take | None:
        """A chunk of a stream: its samples, and its delivery where the caller gets it from this entry."""
        if item is None:
            return None
        frames = self._read_samples(synthesis, item)
        if not self._delivers:
            return None
        synthesis.delivered(at, frames)
        recording, chunk = synthesis.recording, self._chunk
        if recording is None or chunk is None or synthesis.source is not self.entry or synthesis.first_byte is None:
            return None
        return recording.taker(item) if chunk.samples is None and chunk.rate is None else None

    def returned(self, synthesis: Synthesis, result: Any) -> None:
        """The result of a plain call. None where audio was to come counts as no audio."""
        if self._given is not None:
            frames = self._read_samples(synthesis, self._given)
        elif self._chunk is None or result is not None:
            frames = self._read_samples(synthesis, result)
        else:
            frames = synthesis.audio((), self._rate, source=self.entry)
        if self._delivers and synthesis.recording is not None:
            synthesis.delivered(now(), frames)

    def ended(self, synthesis: Synthesis) -> None:
        """A stream came to its end; one that never yielded made empty audio."""
        if self._chunk is not None and synthesis.recording is None:
            synthesis.audio((), self._rate, source=self.entry)

    def _read_samples(self, synthesis: Synthesis, result: Any) -> int | None:
        chunk = self._chunk
        if chunk is None:
            return None
        rate = rate_of(_pick(result, chunk.rate)) or self._rate
        samples = result if chunk.samples is None else _pick(result, chunk.samples)
        if samples is None and callable(chunk.samples):
            return None
        pieces = _pieces_of(samples)
        if pieces is None:
            return synthesis.audio(samples, rate, source=self.entry)
        frames = [synthesis.audio(piece, rate, source=self.entry) for piece in pieces]
        return None if None in frames else sum(cast("list[int]", frames))


class _Continued:
    """A generator or coroutine returned by a plain entry: the same synthesis goes on while it runs."""

    def __init__(self, call: _EntryCall, synthesis: Synthesis, own: bool) -> None:
        self._call, self._synthesis, self._own = call, synthesis, own
        self._begun = False

    def begin(self) -> tuple[Synthesis | None, bool]:
        self._begun = True
        return self._synthesis, self._own

    def dropped(self) -> None:
        """Nobody holds it any more; one that never ran could not end its synthesis."""
        if self._own and not self._begun:
            contain("entry", self._synthesis.finish, GeneratorExit())

    def item(self, synthesis: Synthesis, item: Any, at: int) -> Take | None:
        synthesis.attrs[names.STREAM] = True
        return self._call.item(synthesis, item, at)

    def ended(self, synthesis: Synthesis) -> None:
        self._call.ended(synthesis)


# --- reading --------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _parameters(function: Any) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except ValueError:  # compiled, without a signature: what is given by name is known all the same
        return ()


_NO_ARGUMENTS: Final[Mapping[str, Any]] = {}


def _bind(wrapped: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
    """Return the arguments by name; a call that does not fit its signature fails by itself a moment later."""
    if not args:
        return kwargs or _NO_ARGUMENTS
    function = getattr(wrapped, "__func__", wrapped)
    parameters = contain("reader", _parameters, function) or ()
    if function is not wrapped:
        parameters = parameters[1:]
    return {**dict(zip(parameters, args, strict=False)), **kwargs}


def _read(reader: Reader | None, call: Call) -> Any:
    """Return what `reader` points at, None where it is not there."""
    if reader is None:
        return None
    if not isinstance(reader, str):
        return contain("reader", reader, call)
    if not reader.startswith("self."):
        return call.arguments.get(reader)
    return contain("reader", _follow, call.instance, reader)


def _follow(instance: Any, path: str) -> Any:
    found = instance
    for part in path.split(".")[1:]:
        found = getattr(found, part, None)
    return found


def _fact(reader: Reader | None, call: Call) -> Any:
    """Return what `reader` points at as an attribute's value; None for anything that is none.

    A tensor is not asked for its number, and no object for its text: that may wait for a device, or say too much.
    """
    value: Any = _read(reader, call)
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, np.generic):
        value = cast("np.generic[Any]", value).item()
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in cast("list[object]", value)):
        return tuple(cast("list[str]", value))
    return None


_LOWEST_RATE: Final = 1000
"""Hz. A smaller number in `Chunk.rate` is an index."""


def _pick(result: Any, where: str | int | float | Callable[[Any], Any] | None) -> Any:
    """Return the attribute, key or item `where` of `result`, a rate that is given as a number, or None."""
    if callable(where):
        return contain("reader", where, result)
    if isinstance(where, str) and not isinstance(result, Mapping):
        return getattr(result, where, None)
    if where is None or isinstance(where, float) or (isinstance(where, int) and where >= _LOWEST_RATE):
        return where
    try:
        return cast("Any", result)[where]
    except (LookupError, TypeError):
        return None


def _pieces_of(samples: Any) -> list[Any] | None:
    """Return a list's arrays (a batch, or one for each sentence); None for an array, and for a list of numbers."""
    if not isinstance(samples, (list, tuple)):
        return None
    pieces: list[Any] = list(cast("list[Any]", samples))
    return pieces if pieces and len(getattr(pieces[0], "shape", ())) else None


def _length(text: Any) -> int | None:
    """Characters of a text, or of all texts of a list. Only the number is kept."""
    if isinstance(text, str):
        return len(text)
    if isinstance(text, (list, tuple)):
        return sum(len(part) for part in text if isinstance(part, str))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return None
