# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A call of an engine's entry: opens a synthesis or joins the open one, and reads the table's facts from the call."""

from __future__ import annotations

import inspect
import io
import os
import weakref
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Final, cast

from opentelemetry.context import Context

from otel_tts import names
from otel_tts.audio.samples.arrays import rate_of
from otel_tts.audio.samples.unread import is_bytes, say_unread
from otel_tts.device.fallback import kind_of_device
from otel_tts.engines.table import Call, Callback, Engine, Entry
from otel_tts.guard import contain
from otel_tts.instrumentation.callables import ASYNC_GENERATOR, COROUTINE, GENERATOR, kind_of
from otel_tts.instrumentation.calls import mark
from otel_tts.instrumentation.calls.arguments import (
    bind,
    fact,
    length,
    pick,
    pieces_of,
    positional,
    read,
    self_described,
)
from otel_tts.otel_private.context import current_context, enter_context, leave_context
from otel_tts.record import now
from otel_tts.recording import recorder
from otel_tts.recording.delivered import note_encoded, note_file
from otel_tts.recording.streaming import LAST, Take, iterate, iterate_async
from otel_tts.recording.synthesis import Synthesis, current, enter_entry, entries_around


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
    call = contain("entry", _EntryCall, engine, entry, version, wrapped, instance, args, kwargs)
    if call is None:
        return wrapped(*args, **kwargs)
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
    if call.entry.callback is not None:
        args, kwargs = contain("entry", call.tap, synthesis, call.entry.callback) or (args, kwargs)
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
        self._entered = contain("entry", _enter, self._synthesis, self._own)
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
        if error is not None and not self._own:
            contain("entry", self._call.left, self._synthesis, error)
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


def _enter(synthesis: Synthesis, own: bool) -> _Entered | None:
    inside = enter_entry(synthesis, own)
    return (inside, enter_context(inside), now()) if inside is not None else None


def _exit(synthesis: Synthesis, entered: _Entered | None, own: bool) -> None:
    if entered is None:
        return
    inside, token, began = entered
    leave_context(inside, token)
    if own:
        synthesis.busy += now() - began


_IDENTITY: Final = frozenset({names.ENGINE_VERSION, names.PROVIDER, names.MODEL})
"""Facts that belong to the engine's name: not filled in beside a name that the caller gave."""

_NO_AUDIO: Final = -1
"""Frames of a result or item that has no samples and is not meant to have any."""


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
        self._heard = False

    def begin(self) -> tuple[Synthesis | None, bool]:
        """Join the open synthesis, or start one that belongs where the call was made."""
        kit = recorder.current()
        if kit is None:
            return None, False
        call = self._call = Call(self._instance, bind(self._names(), self._args, self._kwargs))
        if self.entry.outermost and entries_around():
            return None, False
        if self.entry.when is not None and not contain("reader", self.entry.when, call):
            return None, False
        if self._chunk is not None and self._chunk.given:
            self._given = call.arguments
        rate = self.entry.sample_rate
        given = read(rate, call) if isinstance(rate, str) or callable(rate) else rate
        self._rate = rate_of(given) or self.engine.sample_rate
        outer = current()
        if outer is not None:
            self._join(outer, call)
            return outer, False
        synthesis = Synthesis(kit, self._facts(call), self.engine)
        synthesis.start(self._context)
        self._delivers = True
        return synthesis, True

    def _names(self) -> tuple[str, ...]:
        """Names of the arguments that may be given by position."""
        parameters = self.entry.parameters
        if callable(parameters):
            return contain("reader", parameters, self._args) or ()
        return parameters or positional(self._wrapped)

    def _join(self, outer: Synthesis, call: Call) -> None:
        """An own ``with otel_tts.synthesis()`` learns the engine; an outer entry of a table knows it already."""
        self._delivers = not entries_around()
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
            outer.mark_cold(names.ColdStart.FIRST_REQUEST)

    def _add_up(self, outer: Synthesis, call: Call) -> None:
        """Several calls inside one own block are one text and one piece of audio, unless the caller said what is."""
        if isinstance(outer.source, Entry):
            outer.source = None
        characters = length(read(self.entry.text, call))
        if characters is not None and outer.attrs.get(names.TEXT_LENGTH, 0) == outer.text_seen:
            outer.text_seen += characters
            outer.attrs[names.TEXT_LENGTH] = outer.text_seen

    def _facts(self, call: Call) -> dict[str, Any]:
        engine, entry = self.engine, self.entry
        facts: dict[str, Any] = {
            names.ENGINE: engine.name,
            names.ENGINE_VERSION: self.version,
            names.PROVIDER: engine.name,
            names.MODEL: fact(entry.model, call) or engine.model,
            names.TEXT_LENGTH: length(read(entry.text, call)),
            names.TEXT_LANGUAGE: fact(entry.language, call),
            names.VOICE: fact(entry.voice, call),
            names.DEVICE: kind_of_device(read(entry.device, call)),
        }
        for name, reader in entry.facts.items():
            facts[name] = fact(reader, call)
        if self._streams:
            facts.setdefault(names.STREAM, True)
        return {name: value for name, value in facts.items() if value is not None}

    def item(self, synthesis: Synthesis, item: Any, at: int) -> Take | None:
        """A chunk of a stream: its samples, and its delivery where the caller gets it from this entry."""
        if item is None:
            return None
        entry = self.entry
        if entry.error is not None:
            self._look_for_error(synthesis, item)
        frames = self._read_samples(synthesis, item)
        if self._delivers and frames != _NO_AUDIO:
            mark.stop(synthesis)
            synthesis.delivered(at, frames)
        if entry.last is not None:
            return LAST if entry.last(self._call, item) else None
        if not self._delivers or frames == _NO_AUDIO:
            return None
        recording, chunk = synthesis.recording, self._chunk
        if recording is None or chunk is None or synthesis.source is not self.entry or synthesis.first_byte is None:
            return None
        return recording.taker(item) if chunk.samples is None and chunk.rate is None else None

    def _look_for_error(self, synthesis: Synthesis, result: Any) -> bool:
        """Note an error that was handed over instead of raised; say whether it is one."""
        found = pick(result, self.entry.error)
        if isinstance(found, BaseException):
            synthesis.swallow(found)
        elif not found:
            return False
        synthesis.fail_unseen()
        return True

    def tap(self, synthesis: Synthesis, callback: Callback) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Return the arguments with a callable of ours in the callback's place; None where the caller gave none."""
        args, kwargs, name = self._args, self._kwargs, callback.argument
        if callable(kwargs.get(name)):
            return args, {**kwargs, name: self._tapped(synthesis, callback, kwargs[name])}
        given = self._names()[: len(args)]
        if name not in given or not callable(args[given.index(name)]):
            return None
        at = given.index(name)
        return (*args[:at], self._tapped(synthesis, callback, args[at]), *args[at + 1 :]), kwargs

    def _tapped(self, synthesis: Synthesis, callback: Callback, given: Callable[..., Any]) -> Callable[..., Any]:
        outside = self._context

        def tapped(*args: Any, **kwargs: Any) -> Any:
            at = now()
            contain("chunk", self._piece, synthesis, callback, args, at)
            token = contain("chunk", enter_context, outside)  # the caller's code, as between the steps of a generator
            try:
                answer = given(*args, **kwargs)
            finally:
                if token is not None:
                    contain("chunk", leave_context, outside, token)
                synthesis.busy -= now() - at
            if callback.stops is not None and contain("chunk", callback.stops, answer, *args):
                synthesis.set_attribute(names.OUTCOME, names.Outcome.CANCELLED)
            return answer

        return tapped

    def _piece(self, synthesis: Synthesis, callback: Callback, args: tuple[Any, ...], at: int) -> None:
        self._heard, self._chunk = True, callback.chunk
        synthesis.set_attribute(names.STREAM, True)
        frames = self._read_samples(synthesis, args[0])
        if self._delivers:
            synthesis.delivered(at, frames)

    def returned(self, synthesis: Synthesis, result: Any) -> None:
        """The result of a plain call. None where audio was to come counts as no audio."""
        if self._delivers:
            mark.stop(synthesis)
        if self._heard or (self.entry.kinds and self.entry.kinds[0] in (GENERATOR, ASYNC_GENERATOR)):
            return  # piece by piece, or what was to give pieces is of another kind in this version
        if self.entry.required and result is None:
            synthesis.fail_unseen()
            return
        if self.entry.error is not None and self._look_for_error(synthesis, result):
            return
        if self._answers_with_file(synthesis, result):
            return
        if self._given is not None:
            frames = self._read_samples(synthesis, self._given)
        elif self._chunk is None or self._chunk.optional or result is not None:
            frames = self._read_samples(synthesis, result)
        else:
            frames = synthesis.audio((), self._rate, source=self.entry)
        if self._delivers and synthesis.recording is not None and frames != _NO_AUDIO:
            synthesis.delivered(now(), frames)

    def _answers_with_file(self, synthesis: Synthesis, result: Any) -> bool:
        """A path in place of samples, or the file that the call was told to write: what is in it is read later."""
        path = None if self.entry.file is None else read(self.entry.file, self._call)
        written = path is not None and note_file(synthesis, path, returned=self._delivers)
        if is_bytes(result):
            if (self._chunk is not None and self._chunk.encoding) or not note_encoded(
                synthesis, result, returned=self._delivers
            ):  # pyright: ignore[reportUnknownArgumentType]
                return False
        elif not isinstance(result, (str, os.PathLike, io.BytesIO)):
            return written and (result is None or self._chunk is None)
        elif not note_file(synthesis, result, returned=self._delivers):  # pyright: ignore[reportUnknownArgumentType]
            return False
        if self._delivers:
            synthesis.delivered(now(), None)
        return True

    def ended(self, synthesis: Synthesis) -> None:
        """A stream came to its end; one that never yielded made empty audio."""
        if self._chunk is not None and not self._chunk.optional and synthesis.recording is None:
            synthesis.audio((), self._rate, source=self.entry)

    def left(self, synthesis: Synthesis, error: BaseException) -> None:
        """An exception left this entry into another one, which may swallow it."""
        mark.stop(synthesis, error)
        if not isinstance(error, GeneratorExit):
            synthesis.swallow(error)

    def _read_samples(self, synthesis: Synthesis, result: Any) -> int | None:
        chunk = self._chunk
        if chunk is None:
            return None
        rate, samples = rate_of(pick(result, chunk.rate)) or self._rate, result
        described = None
        if chunk.samples is None and chunk.select is None:
            described = contain("reader", self_described, result)
        if described is not None:
            samples, rate = described[0], described[1] if chunk.rate is None else rate
        elif chunk.optional:
            return None
        elif chunk.select is not None:
            samples = contain("reader", chunk.select, self._call, result)
        elif chunk.samples is not None:
            samples = pick(result, chunk.samples)
        if samples is None and (chunk.select is not None or callable(chunk.samples)):
            return _NO_AUDIO
        pieces = pieces_of(samples)
        if not chunk.inner_on_device and entries_around() > 1 and _is_on_device(pieces[0] if pieces else samples):
            return _NO_AUDIO
        taken = [self._take(synthesis, piece, rate) for piece in ([samples] if pieces is None else pieces)]
        if None not in taken:
            return sum(cast("list[int]", taken))
        if synthesis.source is self.entry and synthesis.t1 is None:
            shown = result if samples is None else samples
            where = f"{self.engine.name}: {self.entry.target}"
            contain("chunk", say_unread, where, shown, chunk.samples if samples is None else None)
        return None

    def _take(self, synthesis: Synthesis, samples: Any, rate: int | None) -> int | None:
        encoding = self._chunk.encoding if self._chunk is not None else None
        return synthesis.audio(samples, rate, encoding=encoding, source=self.entry)


def _is_on_device(samples: Any) -> bool:
    return kind_of_device(getattr(samples, "device", None)) not in (None, "cpu")


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
        synthesis.set_attribute(names.STREAM, True)
        return self._call.item(synthesis, item, at)

    def ended(self, synthesis: Synthesis) -> None:
        self._call.ended(synthesis)

    def left(self, synthesis: Synthesis, error: BaseException) -> None:
        self._call.left(synthesis, error)
