# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The stage clock of engines whose stages are lines in one long function: marks say which stage runs from now on.

The clock's state is the open stage of its synthesis, so requests that run at once on one engine do not meet. That stage
is never the thread's current span: a mark returns into the engine's code, which may be left in a ``yield`` at any time.
Only a seam within it makes it current, for its own call. What ends a stage: the next mark, a seam that is no part of
it, a chunk or result that is handed to the caller, an error, the synthesis's end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.context import Context

from otel_tts import names
from otel_tts.engines.table import Engine, Mark, Seam
from otel_tts.guard import contain
from otel_tts.instrumentation.callables import COROUTINE, kind_of
from otel_tts.instrumentation.calls.arguments import call_of
from otel_tts.names import Stage as Stages
from otel_tts.otel_private.context import SPAN_KEY, current_context, enter_context, leave_context
from otel_tts.recording.stage import StageSpan
from otel_tts.recording.synthesis import Synthesis, current

Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]
"""A wrapt function: wrapped, instance, args, kwargs."""

_ON_THE_HOST: Final = frozenset((Stages.TEXT_FRONTEND, Stages.POSTPROCESS))


def has_clock(engine: Engine) -> bool:
    """Whether seams of `engine` have to look at the clock."""
    return bool(engine.marks) or any(seam.within or seam.then or seam.unless for seam in engine.seams)


def around(seam: Seam, stage_of: Wrapper) -> Wrapper:
    """Return `stage_of`, the wrapper that makes `seam` a stage, with the clock moved before and after its call."""

    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        synthesis = contain("progress", current)
        if synthesis is None or contain("progress", _is_needless, seam, synthesis, wrapped, instance, args, kwargs):
            return wrapped(*args, **kwargs)
        if kind_of(wrapped) == COROUTINE:
            return _around_await(seam, stage_of, synthesis, wrapped, instance, args, kwargs)
        entered = contain("progress", _enter, synthesis, seam.within)
        try:
            return stage_of(wrapped, instance, args, kwargs)
        finally:
            contain("progress", _leave, synthesis, entered, seam.then)

    return wrapper


async def _around_await(
    seam: Seam, stage_of: Wrapper, synthesis: Synthesis, wrapped: Any, instance: Any, args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:  # fmt: skip
    entered = contain("progress", _enter, synthesis, seam.within)
    try:
        return await stage_of(wrapped, instance, args, kwargs)
    finally:
        contain("progress", _leave, synthesis, entered, seam.then)


def mark(of: Mark) -> Wrapper:
    """Return the wrapper that moves the clock when the callable of `of` is called, and then calls it."""

    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        synthesis = contain("progress", current)
        if synthesis is None:
            return wrapped(*args, **kwargs)
        contain("progress", _pass, of, synthesis, wrapped, instance, args, kwargs)
        result = wrapped(*args, **kwargs)
        if of.segments:
            contain("progress", _count, synthesis, result)
        return result

    return wrapper


def move(synthesis: Synthesis, stage: str | None) -> None:
    """Let `stage` be what runs from now on, None: nothing that has a name. The same stage goes on."""
    running = synthesis.marked
    if running is not None and running.stage == stage:
        return
    stop(synthesis)
    if stage is not None and not _is_reused(stage, synthesis):
        where = "cpu" if stage in _ON_THE_HOST else None
        synthesis.marked = StageSpan(synthesis, stage, where=where).open()


def stop(synthesis: Synthesis, error: BaseException | None = None) -> None:
    """End what runs, if anything does; `error` is what left it."""
    running, synthesis.marked = synthesis.marked, None
    if running is not None:
        running.close(error)


def _is_reused(stage: str, synthesis: Synthesis) -> bool:
    return stage == Stages.REFERENCE_ENCODE and synthesis.attrs.get(names.REFERENCE_CACHE_HIT) is True


def _is_needless(
    seam: Seam, synthesis: Synthesis, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> bool:
    if _is_reused(seam.stage, synthesis):
        return True
    return seam.unless is not None and bool(seam.unless(call_of(wrapped, instance, args, kwargs)))


_Entered = tuple[Context, Any]


def _enter(synthesis: Synthesis, within: str | None) -> _Entered | None:
    """Move the clock, and make its stage the parent of what follows unless somebody's own span is between.

    What another seam calls inside is a part of that one: the clock stays where it is.
    """
    inner: Any = current_context().get(SPAN_KEY)
    if within is None and inner.__class__ is StageSpan and inner is not synthesis.marked:
        return None
    move(synthesis, within)
    running = synthesis.marked
    if running is None or current_context().get(SPAN_KEY) is not running.outside.get(SPAN_KEY):
        return None
    return running.inside, enter_context(running.inside)


def _leave(synthesis: Synthesis, entered: _Entered | None, then: str | None) -> None:
    if entered is not None:
        leave_context(*entered)
    if then is not None:
        move(synthesis, then)


def _pass(
    of: Mark, synthesis: Synthesis, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    stage = of.stage
    if callable(stage):
        stage = stage(call_of(wrapped, instance, args, kwargs))
    move(synthesis, stage)


def _count(synthesis: Synthesis, segments: Any) -> None:
    seen = synthesis.attrs.get(names.SEGMENT_COUNT, 0)
    synthesis.attrs[names.SEGMENT_COUNT] = seen + len(segments)
