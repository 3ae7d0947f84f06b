# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A call of an engine's entry: opens a synthesis or joins the open one, and reads the table's facts from the call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from otel_tts import names
from otel_tts.emit import recorder
from otel_tts.emit.span_private import current_context, enter_context, leave_context
from otel_tts.engine import Call, Engine, Entry, Reader
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
        return _run_async(call, wrapped, args, kwargs)
    return _run(call, wrapped, args, kwargs)


def _run(call: _EntryCall, wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a plain function. A generator that it returns (IndexTTS's ``stream_return``) goes on as a stream."""
    synthesis, own = contain("entry", call.begin) or (None, False)
    if synthesis is None:
        return wrapped(*args, **kwargs)
    token, began = contain("entry", _enter, synthesis), now()
    error: BaseException | None = None
    streams = False
    try:
        result = wrapped(*args, **kwargs)
        if inspect.isgenerator(result):
            streams = True
            return iterate(result, _Continued(call, synthesis, own))
    except BaseException as left:
        error = left
        raise
    else:
        contain("entry", call.returned, synthesis, result)
        return result
    finally:
        contain("entry", _exit, synthesis, token, began, own)
        if own and not streams:
            contain("entry", synthesis.finish, error)


async def _run_async(
    call: _EntryCall, wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    synthesis, own = contain("entry", call.begin) or (None, False)
    if synthesis is None:
        return await wrapped(*args, **kwargs)
    token, began = contain("entry", _enter, synthesis), now()
    error: BaseException | None = None
    try:
        result = await wrapped(*args, **kwargs)
        contain("entry", call.returned, synthesis, result)
        return result
    except BaseException as left:
        error = left
        raise
    finally:
        contain("entry", _exit, synthesis, token, began, own)
        if own:
            contain("entry", synthesis.finish, error)


def _enter(synthesis: Synthesis) -> Any:
    synthesis.depth += 1
    return enter_context(synthesis.ctx)


def _exit(synthesis: Synthesis, token: Any, began: int, own: bool) -> None:
    synthesis.depth -= 1
    if own:
        synthesis.busy += now() - began
    leave_context(synthesis.ctx, token)


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

    def begin(self) -> tuple[Synthesis | None, bool]:
        """Join the open synthesis, or start one that belongs where the call was made."""
        kit = recorder.current()
        if kit is None:
            return None, False
        call = Call(self._instance, _bind(self._wrapped, self._args, self._kwargs))
        self._rate = _as_int(_rate_of(self.entry.sample_rate, call)) or self.engine.sample_rate
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
        if outer.engine is None:
            outer.engine = self.engine
            named = names.ENGINE in outer.attrs
            for name, value in self._facts(call).items():
                if not (named and name in _IDENTITY):
                    outer.attrs.setdefault(name, value)

    def _facts(self, call: Call) -> dict[str, Any]:
        engine, entry = self.engine, self.entry
        facts: dict[str, Any] = {
            names.ENGINE: engine.name,
            names.ENGINE_VERSION: self.version,
            names.PROVIDER: engine.name,
            names.MODEL: _read(entry.model, call) or engine.model,
            names.TEXT_LENGTH: _length(_read(entry.text, call)),
            names.TEXT_LANGUAGE: _read(entry.language, call),
            names.VOICE: _read(entry.voice, call),
        }
        for name, reader in entry.facts.items():
            facts[name] = _read(reader, call)
        if self._streams:
            facts[names.STREAM] = True
        return {name: value for name, value in facts.items() if value is not None}

    def item(self, synthesis: Synthesis, item: Any, at: int) -> Take | None:
        """A chunk of a stream: its samples, and its delivery where the caller gets it from this entry."""
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
        if self._chunk is None or result is not None:
            frames = self._read_samples(synthesis, result)
        else:
            frames = synthesis.audio((), self._rate, source=self.entry)
        if self._delivers and synthesis.recording is not None:
            synthesis.delivered(now(), frames)

    def ended(self, synthesis: Synthesis) -> None:
        """A stream came to its end; one that never yielded made empty audio."""
        if self._delivers and self._chunk is not None and synthesis.recording is None:
            synthesis.audio((), self._rate, source=self.entry)

    def _read_samples(self, synthesis: Synthesis, result: Any) -> int | None:
        chunk = self._chunk
        if chunk is None:
            return None
        where = chunk.rate
        rate = self._rate if where is None else _as_int(where if where.__class__ is float else _pick(result, where))
        return synthesis.audio(
            result if chunk.samples is None else _pick(result, chunk.samples), rate or self._rate, source=self.entry
        )


class _Continued:
    """A generator returned by a plain entry: the same synthesis goes on while it is iterated."""

    def __init__(self, call: _EntryCall, synthesis: Synthesis, own: bool) -> None:
        self._call, self._synthesis, self._own = call, synthesis, own

    def begin(self) -> tuple[Synthesis | None, bool]:
        self._synthesis.set_attribute(names.STREAM, True)
        return self._synthesis, self._own

    def item(self, synthesis: Synthesis, item: Any, at: int) -> Take | None:
        return self._call.item(synthesis, item, at)

    def ended(self, synthesis: Synthesis) -> None:
        self._call.ended(synthesis)


# --- reading --------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _signature(function: Any) -> inspect.Signature:
    return inspect.signature(function)


_NO_ARGUMENTS: Final[Mapping[str, Any]] = {}


def _bind(wrapped: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
    """Return the arguments by name; a call that does not fit its signature fails by itself a moment later."""
    function = getattr(wrapped, "__func__", wrapped)
    parameters = list(_signature(function).parameters)
    if function is not wrapped:
        parameters = parameters[1:]
    return {**dict(zip(parameters, args, strict=False)), **kwargs} if args or kwargs else _NO_ARGUMENTS


def _read(reader: Reader | None, call: Call) -> Any:
    """Return the fact that `reader` points at, None where it is not there."""
    if reader is None:
        return None
    if not isinstance(reader, str):
        return contain("reader", reader, call)
    if not reader.startswith("self."):
        return call.arguments.get(reader)
    found = call.instance
    for part in reader.split(".")[1:]:
        found = getattr(found, part, None)
    return found


def _rate_of(rate: Reader | int | None, call: Call) -> Any:
    return rate if isinstance(rate, int) else _read(rate, call)


def _pick(result: Any, where: str | int | float) -> Any:
    if isinstance(where, str):
        return getattr(result, where, None)
    return result[int(where)]


def _as_int(value: Any) -> int | None:
    return int(value) if value else None


def _length(text: Any) -> int | None:
    """Characters of a text, or of all texts of a list. Only the number is kept."""
    if isinstance(text, str):
        return len(text)
    if isinstance(text, (list, tuple)):
        return sum(len(part) for part in text if isinstance(part, str))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return None
