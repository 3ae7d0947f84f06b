# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Generators as parts of a request: begun at the first step, current only while the generator runs, ended exactly once.

Two loops step them, one for each kind of generator. What such a part is, an engine's entry or a stage, is its `Run`'s
business. The loops are generators themselves, so ``inspect.isgenerator`` and ``send``, ``throw``, ``close`` work as
before. A generator that is never started has done nothing and leaves nothing. One that is dropped half way is closed
by Python's collector; what it is a part of then ends as cancelled, as it does when the caller closes it.

Per chunk they may cost two clock reads and little more (docs/overhead.md).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Final, Protocol, cast

from opentelemetry.context import Context

from otel_tts.audio.samples.sound import Take
from otel_tts.guard import contain, note_fault
from otel_tts.otel_private.context import enter_context, leave_context, restore_context
from otel_tts.record import now

_Step = Callable[[Any], Any]


class Listener(Protocol):
    """Who hears of a stream's items: a synthesis, or who stands for one. Read at each item, which spares a call."""

    @property
    def t1(self) -> int | None:
        """When it ended: what comes afterwards is made for nobody."""
        ...

    @property
    def recording(self) -> object | None: ...

    @property
    def first_byte(self) -> int | None:
        """When the first item was delivered: what comes afterwards is heard only where there is a recording."""
        ...


class Run(Protocol):
    """What a stream is to the request. Each call of these is contained; but for `place` they are read once it began."""

    @property
    def place(self) -> str:
        """Where its faults are counted (see `otel_tts.guard`)."""
        ...

    def begin(self) -> Context | None:
        """Begin at the first step; return the context to step in. None: the generator is left alone."""
        ...

    @property
    def listener(self) -> Listener: ...

    @property
    def resume(self) -> Callable[[], object] | None:
        """Called before each step, where anything is to be done then."""
        ...

    @property
    def pause(self) -> Callable[[], object] | None:
        """Called after each step."""
        ...

    @property
    def item(self) -> Callable[[Any, int], Take | None]:
        """Called with a chunk that is about to be handed to the caller, and when (perf_counter_ns).

        May return how to take the following ones without being asked, where that is all there is to do with them, or
        `LAST`.
        """
        ...

    @property
    def late(self) -> Callable[[int, int], object] | None:
        """Called where the listener had ended before an item came: when its step began and ended (perf_counter_ns)."""
        ...

    @property
    def ended(self) -> Callable[[], object]:
        """Called when the stream came to its end by itself."""
        ...

    def end(self, error: BaseException | None, busy: int) -> None:
        """End it: `error` left the generator, if anything did; it ran for `busy` ns. After `LAST` called twice."""
        ...


class _Fixed:
    """A listener that hears all or nothing."""

    recording: None = None
    first_byte: None = None

    def __init__(self, t1: int | None) -> None:
        self.t1 = t1


class Everything:
    """A listener that hears each item until its `owner` has ended."""

    recording: None = None
    first_byte: None = None

    def __init__(self, owner: Listener) -> None:
        self._owner = owner

    @property
    def t1(self) -> int | None:
        return self._owner.t1


EACH: Final = _Fixed(None)
"""A listener that hears each item."""
NOBODY: Final = _Fixed(0)
"""A listener that hears no item."""

_NOTHING: Final = Take(type(None), None, id, id, 0)
"""No short way: each chunk is the listener's."""

LAST: Final = Take(type(None), None, id, id, -1)
"""A run's answer: nothing that counts comes after this item, and it ends with it."""


class _Rest:
    """A generator that one item was taken from, with that item."""

    def __init__(self, item: Any, source: Generator[Any, Any, Any]) -> None:
        self._taken, self._source = [item], source
        self.send, self.throw, self.close = source.send, source.throw, source.close

    def __iter__(self) -> _Rest:
        return self

    def __next__(self) -> Any:
        return self._taken.pop() if self._taken else next(self._source)


def _rest_of(item: Any, source: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Return `source` as it was before `item` was taken from it, for ``yield from``."""
    return cast("Generator[Any, Any, Any]", _Rest(item, source))


def iterate(source: Generator[Any, Any, Any], run: Run) -> Generator[Any, Any, Any]:
    """Step through `source` inside `run`; yields and returns what it does, raises what it raises."""
    place = run.place
    inside = contain(place, run.begin)
    if inside is None:
        return (yield from source)
    listener, hear, resume, pause, late = run.listener, run.item, run.resume, run.pause, run.late
    send: _Step = source.send
    step = send
    value: Any = None
    item: Any
    busy, error = 0, None
    kind, dtype, keep, note, room = _NOTHING
    try:
        while True:
            token = enter_context(inside)
            began = now()
            if resume is not None:
                contain(place, resume)
            try:
                item = step(value)  # sending None is what next() does
            finally:
                if pause is not None:
                    contain(place, pause)
                at = now()
                restore_context(token)
                busy += at - began
            step, value = send, None
            try:
                if listener.t1 is not None:
                    if late is not None:
                        late(began, at)
                elif room and type(item) is kind and item.dtype is dtype and item.ndim == 1:
                    keep(item.tobytes())
                    note(at)
                    room -= 1
                elif listener.recording is not None or listener.first_byte is None:
                    kind, dtype, keep, note, room = hear(item, at) or _NOTHING
                    if room < 0:
                        break
            except Exception as fault:
                note_fault("chunk", fault)
            try:
                value = yield item
            except GeneratorExit:
                raise
            except BaseException as given:
                step, value = source.throw, given
        contain(place, run.end, None, busy)
        busy = 0
        return (yield from _rest_of(item, source))
    except StopIteration as end:
        contain(place, run.ended)
        return end.value
    except BaseException as left:
        error = left
        raise
    finally:
        value = None  # it may be what was thrown in
        try:
            if error is not None:
                busy += _close(source, inside)
        finally:  # closing runs the engine's own clean-up, which may raise
            contain(place, run.end, error, busy)
            error = None  # with its traceback it holds this frame, and the engine's with their tensors


def _close(source: Generator[Any, Any, Any], inside: Context) -> int:
    """Close the generator where it stands, so that its cleaning up belongs to the run; return the ns it took."""
    token, began = enter_context(inside), now()
    try:
        source.close()
    finally:
        restore_context(token)
    return now() - began


async def iterate_async(source: AsyncGenerator[Any, Any], run: Run) -> AsyncGenerator[Any, Any]:
    """Step through an async `source` inside `run`, which hears each item; yields and raises what `source` does.

    A step may end in another context than it began in. A generator that is dropped is closed by its event loop.
    """
    place = run.place
    inside = contain(place, run.begin)
    listener, resume, pause = (run.listener, run.resume, run.pause) if inside is not None else (NOBODY, None, None)
    late = run.late if inside is not None else None
    busy, error, sent, thrown = 0, None, None, None
    try:
        while True:
            token = enter_context(inside) if inside is not None else None
            began = now()
            if resume is not None:
                contain(place, resume)
            try:
                if thrown is not None:
                    item = await source.athrow(thrown)
                else:
                    item = await (source.__anext__() if sent is None else source.asend(sent))
            finally:
                if pause is not None:
                    contain(place, pause)
                at = now()
                busy += at - began
                if inside is not None:
                    leave_context(inside, token)
            if listener.t1 is not None:
                if late is not None:
                    contain("chunk", late, began, at)
            elif contain("chunk", run.item, item, at) is LAST:
                contain(place, run.end, None, busy)
                inside, listener, resume, pause, late = None, NOBODY, None, None, None
            thrown = None
            try:
                sent = yield item
            except GeneratorExit:
                raise
            except BaseException as given:
                sent, thrown = None, given
    except StopAsyncIteration:
        if inside is not None:
            contain(place, run.ended)
        return
    except BaseException as left:
        error = left
        raise
    finally:
        try:
            if error is not None:
                await source.aclose()
        finally:
            if inside is not None:
                contain(place, run.end, error, busy)
            error = thrown = None
