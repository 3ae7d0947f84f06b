# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A call of a seam: a stage of the current synthesis. Its result, exceptions and kind stay what they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from typing import Any

from opentelemetry.context import Context

from otel_tts import names
from otel_tts.guard import contain
from otel_tts.instrumentation.kinds import ASYNC_GENERATOR, COROUTINE, GENERATOR, kind_of
from otel_tts.otel_private.context import enter_context, leave_context
from otel_tts.record import now
from otel_tts.stage import Stage, Where
from otel_tts.streaming import rest_of
from otel_tts.synthesis import Synthesis, current


def run_stage(
    name: str,
    call: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    synthesis: Synthesis | None = None,
    fold: bool = False,
    attributes: Mapping[str, Any] | None = None,
    device: Where = None,
    segments: int = 1,
    last: Callable[[Any], Any] | None = None,
    context: Context | None = None,
) -> Any:
    """Call `call` as a stage of `synthesis` (default: the current one); outside of any, just call it.

    `device` ``"cpu"``: it does nothing on a device, or has waited for it when it returns; else the streams it runs on.
    `segments`: how many it makes at once. `last` says of a generator's item whether the stage ends with it, `context`
    where a generator begins if that is not where its first step is taken.
    """
    if synthesis is None:
        synthesis = contain("stage", current)
        if synthesis is None:
            return call(*args, **kwargs)
    kind = kind_of(call)
    stage = contain("stage", Stage, synthesis, name, dict(attributes) if attributes else None, fold, device)
    if stage is None:
        return call(*args, **kwargs)
    stage.count = segments
    if kind == GENERATOR:
        return _stream(stage, call(*args, **kwargs), last, context)
    if kind == ASYNC_GENERATOR:
        return _stream_async(stage, call(*args, **kwargs))
    if kind == COROUTINE:
        return _await(stage, call(*args, **kwargs))
    if contain("stage", stage.__enter__) is None:
        return call(*args, **kwargs)
    try:
        result = call(*args, **kwargs)
    except BaseException as error:
        contain("stage", stage.__exit__, type(error), error, None)
        raise
    contain("stage", stage.__exit__, None, None, None)
    return result


async def _await(stage: Stage, coroutine: Coroutine[Any, Any, Any]) -> Any:
    if contain("stage", stage.__enter__) is None:
        return await coroutine
    try:
        result = await coroutine
    except BaseException as error:
        contain("stage", stage.__exit__, type(error), error, None)
        raise
    contain("stage", stage.__exit__, None, None, None)
    return result


def _stream(
    stage: Stage, source: Generator[Any, Any, Any], last: Callable[[Any], Any] | None, context: Context | None
) -> Generator[Any, Any, Any]:
    """A generator as a stage: from its first step to its end, current only while it runs."""
    if contain("stage", _open_in, stage, context) is None:
        return (yield from source)
    busy, error, sent, thrown = 0, None, None, None
    try:
        while True:
            token, began = enter_context(stage.ctx), now()
            contain("stage", stage.resume)
            try:
                if thrown is not None:
                    item = source.throw(thrown)
                else:
                    item = next(source) if sent is None else source.send(sent)
            finally:
                contain("stage", stage.pause)
                busy += now() - began
                leave_context(stage.ctx, token)
            if last is not None and contain("stage", last, item):
                contain("stage", _close, stage, busy)
                return (yield from rest_of(item, source))
            thrown = None
            try:
                sent = yield item
            except GeneratorExit:
                raise
            except BaseException as given:
                sent, thrown = None, given
    except StopIteration as end:
        return end.value
    except BaseException as left:
        error = left
        raise
    finally:
        try:
            if error is not None:
                source.close()
        finally:  # closing runs the engine's own clean-up, which may raise
            if stage.t1 is None:
                contain("stage", _close, stage, busy, error)
            error = thrown = None  # with its traceback it holds this frame, and the engine's with their tensors


def _open_in(stage: Stage, context: Context | None) -> Stage:
    if context is None:
        return stage.open()
    token = enter_context(context)
    try:
        return stage.open()
    finally:
        leave_context(context, token)


def _close(stage: Stage, busy: int, error: BaseException | None = None) -> None:
    """Contained as a whole: it stands where the caller's exception is on its way."""
    stage.attrs[names.STAGE_HOST_DURATION] = busy / 1e9
    stage.close(error)


async def _stream_async(stage: Stage, source: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
    opened = contain("stage", stage.open)
    busy, error, sent, thrown = 0, None, None, None
    try:
        while True:
            token = enter_context(stage.ctx) if opened is not None else None
            began = now()
            if opened is not None:
                contain("stage", stage.resume)
            try:
                if thrown is not None:
                    item = await source.athrow(thrown)
                else:
                    item = await (source.__anext__() if sent is None else source.asend(sent))
            finally:
                if opened is not None:
                    contain("stage", stage.pause)
                    leave_context(stage.ctx, token)
                busy += now() - began
            thrown = None
            try:
                sent = yield item
            except GeneratorExit:
                raise
            except BaseException as given:
                sent, thrown = None, given
    except StopAsyncIteration:
        return
    except BaseException as left:
        error = left
        raise
    finally:
        try:
            if error is not None:
                await source.aclose()
        finally:
            if opened is not None:
                contain("stage", _close, stage, busy, error)
            error = thrown = None
