# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Generators as syntheses: begun at the first step, current only while the generator runs, ended exactly once.

The wrappers are generators themselves, so ``inspect.isgenerator`` and ``send``, ``throw``, ``close`` work as before.
A generator that is never started has done nothing and leaves nothing. One that is dropped half way is closed by
Python's collector; its synthesis then ends as cancelled, as it does when the caller closes it.

The loops are written out rather than shared: per chunk they may cost two clock reads and little more
(docs/overhead.md).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Final, Protocol, cast

from otel_tts.audio.samples.sound import Take
from otel_tts.guard import contain, note_fault
from otel_tts.otel_private.context import enter_context, leave_context, restore_context
from otel_tts.record import now
from otel_tts.recording.synthesis import Synthesis, enter_entry

_Step = Callable[[Any], Any]


class Listener(Protocol):
    """Who knows the engine's table."""

    def begin(self) -> tuple[Synthesis | None, bool]:
        """Return the synthesis to step in (None: leave the generator alone) and whether it is the stream's own."""
        ...

    def item(self, synthesis: Synthesis, item: Any, at: int) -> Take | None:
        """A chunk is about to be handed to the caller, at `at` (perf_counter_ns).

        May return how to take the following ones without being asked, where that is all there is to do with them.
        Not called for chunks after the first delivered one while nobody listens to samples.
        """
        ...

    def ended(self, synthesis: Synthesis) -> None:
        """The stream came to its end by itself."""
        ...

    def left(self, synthesis: Synthesis, error: BaseException) -> None:
        """`error` left a stream that is a part of another entry's synthesis."""
        ...


_NOTHING: Final = Take(type(None), None, id, id, 0)
"""No short way: each chunk is the listener's."""

LAST: Final = Take(type(None), None, id, id, -1)
"""A listener's answer: nothing that counts comes after this item, and the synthesis ends with it."""


class _Rest:
    """A generator that one item was taken from, with that item."""

    def __init__(self, item: Any, source: Generator[Any, Any, Any]) -> None:
        self._taken, self._source = [item], source
        self.send, self.throw, self.close = source.send, source.throw, source.close

    def __iter__(self) -> _Rest:
        return self

    def __next__(self) -> Any:
        return self._taken.pop() if self._taken else next(self._source)


def rest_of(item: Any, source: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Return `source` as it was before `item` was taken from it, for ``yield from``."""
    return cast("Generator[Any, Any, Any]", _Rest(item, source))


def iterate(source: Generator[Any, Any, Any], listener: Listener) -> Generator[Any, Any, Any]:
    """Step through `source` inside its synthesis; yields and returns what it does, raises what it raises."""
    synthesis, own = contain("stream", listener.begin) or (None, False)
    if synthesis is None:
        return (yield from source)
    inside = contain("stream", enter_entry, synthesis, own) or synthesis.ctx
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
            try:
                item = step(value)  # sending None is what next() does
            finally:
                at = now()
                restore_context(token)
                busy += at - began
            step, value = send, None
            try:
                if synthesis.t1 is not None:  # its listener has gone: what comes now is made for nobody
                    room = 0
                elif room and type(item) is kind and item.dtype is dtype and item.ndim == 1:
                    keep(item.tobytes())
                    note(at)
                    room -= 1
                elif synthesis.recording is not None or synthesis.first_byte is None:
                    kind, dtype, keep, note, room = listener.item(synthesis, item, at) or _NOTHING
            except Exception as fault:
                note_fault("chunk", fault)
            if room < 0:
                room = 0
                if own:
                    own, synthesis.busy = False, synthesis.busy + busy
                    contain("stream", synthesis.finish)
                    return (yield from rest_of(item, source))
            try:
                value = yield item
            except GeneratorExit:
                raise
            except BaseException as given:
                step, value = source.throw, given
    except StopIteration as end:
        contain("stream", listener.ended, synthesis)
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
            if own:
                synthesis.busy += busy
                contain("stream", synthesis.finish, error)
            elif error is not None and synthesis.t1 is None:
                contain("stream", listener.left, synthesis, error)
            error = None  # with its traceback it holds this frame, and the engine's with their tensors


def _close(source: Generator[Any, Any, Any], inside: Any) -> int:
    """Close the generator where it stands, so that its cleaning up belongs to the synthesis; return the ns it took."""
    token, began = enter_context(inside), now()
    try:
        source.close()
    finally:
        restore_context(token)
    return now() - began


async def iterate_async(source: AsyncGenerator[Any, Any], listener: Listener) -> AsyncGenerator[Any, Any]:
    """As `iterate` for an async generator. One that is dropped is closed by its event loop."""
    synthesis, own = contain("stream", listener.begin) or (None, False)
    inside = contain("stream", enter_entry, synthesis, own) if synthesis is not None else None
    busy, error, sent, thrown = 0, None, None, None
    try:
        while True:
            token = enter_context(inside) if inside is not None else None
            began = now()
            try:
                if thrown is not None:
                    item = await source.athrow(thrown)
                else:
                    item = await (source.__anext__() if sent is None else source.asend(sent))
            finally:
                at = now()
                busy += at - began
                if inside is not None:
                    leave_context(inside, token)
            if (
                synthesis is not None
                and synthesis.t1 is None  # else its listener has gone
                and contain("chunk", listener.item, synthesis, item, at) is LAST
                and own
            ):
                synthesis.busy += busy
                contain("stream", synthesis.finish)
                own, synthesis, inside = False, None, None
            thrown = None
            try:
                sent = yield item
            except GeneratorExit:
                raise
            except BaseException as given:
                sent, thrown = None, given
    except StopAsyncIteration:
        if synthesis is not None:
            contain("stream", listener.ended, synthesis)
        return
    except BaseException as left:
        error = left
        raise
    finally:
        try:
            if error is not None:
                await source.aclose()
        finally:
            if own and synthesis is not None:
                synthesis.busy += busy
                contain("stream", synthesis.finish, error)
            elif error is not None and synthesis is not None:
                contain("stream", listener.left, synthesis, error)
            error = thrown = None
