# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A call of a seam: a stage of the current synthesis. Its result, exceptions and kind stay what they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from otel_tts import names
from otel_tts.emit.span_private import enter_context, leave_context
from otel_tts.guard import contain
from otel_tts.instrumentation.kinds import ASYNC_GENERATOR, COROUTINE, GENERATOR, kind_of
from otel_tts.record import now
from otel_tts.stage import Stage
from otel_tts.synthesis import Synthesis, current


def run_stage(
    name: str,
    call: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    synthesis: Synthesis | None = None,
    fold: bool = False,
) -> Any:
    """Call `call` as a stage of `synthesis` (default: the current one); outside of any, just call it."""
    if synthesis is None:
        synthesis = contain("stage", current)
        if synthesis is None:
            return call(*args, **kwargs)
    kind = kind_of(call)
    if kind == GENERATOR:
        return _stream(Stage(synthesis, name, fold=fold), call(*args, **kwargs))
    if kind == ASYNC_GENERATOR:
        return _stream_async(Stage(synthesis, name, fold=fold), call(*args, **kwargs))
    if kind == COROUTINE:
        return _await(Stage(synthesis, name, fold=fold), call, args, kwargs)
    stage = contain("stage", Stage(synthesis, name, fold=fold).__enter__)
    if stage is None:
        return call(*args, **kwargs)
    try:
        result = call(*args, **kwargs)
    except BaseException as error:
        contain("stage", stage.__exit__, type(error), error, None)
        raise
    contain("stage", stage.__exit__, None, None, None)
    return result


async def _await(stage: Stage, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    opened = contain("stage", stage.__enter__)
    if opened is None:
        return await call(*args, **kwargs)
    try:
        result = await call(*args, **kwargs)
    except BaseException as error:
        contain("stage", stage.__exit__, type(error), error, None)
        raise
    contain("stage", stage.__exit__, None, None, None)
    return result


def _stream(stage: Stage, source: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """A generator as a stage: from its first step to its end, current only while it runs."""
    if contain("stage", stage.open) is None:
        return (yield from source)
    busy, error, sent, thrown = 0, None, None, None
    try:
        while True:
            token, began = enter_context(stage.ctx), now()
            try:
                if thrown is not None:
                    item = source.throw(thrown)
                else:
                    item = next(source) if sent is None else source.send(sent)
            finally:
                busy += now() - began
                leave_context(stage.ctx, token)
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
        if error is not None:
            source.close()
        stage.attrs[names.STAGE_HOST_DURATION] = busy / 1e9
        contain("stage", stage.close, error)


async def _stream_async(stage: Stage, source: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
    opened = contain("stage", stage.open)
    error: BaseException | None = None
    try:
        while True:
            token = enter_context(stage.ctx) if opened is not None else None
            try:
                item = await source.__anext__()
            finally:
                if opened is not None:
                    leave_context(stage.ctx, token)
            yield item
    except StopAsyncIteration:
        return
    except BaseException as left:
        error = left
        raise
    finally:
        if error is not None:
            await source.aclose()
        if opened is not None:
            contain("stage", stage.close, error)
