# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A call before a request that is told what the request's own does not say: noted, never a span."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

from otel_tts.engines.kept import forget, keep
from otel_tts.engines.table import Keep
from otel_tts.guard import contain
from otel_tts.instrumentation.callables import COROUTINE, kind_of
from otel_tts.instrumentation.calls.arguments import call_of, fact


def keeping(row: Keep, around: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Return the wrapper that remembers what `row` says about what its callable makes.

    `around` is the wrapper of a seam that names the same callable.
    """

    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = wrapped(*args, **kwargs) if around is None else around(wrapped, instance, args, kwargs)
        if kind_of(wrapped) == COROUTINE:
            return _await(result, partial(_note, row, wrapped, instance, args, kwargs))
        contain("reader", _note, row, wrapped, instance, args, kwargs, result)
        return result

    return wrapper


async def _await(coroutine: Coroutine[Any, Any, Any], note: Callable[[Any], object]) -> Any:
    result = await coroutine
    contain("reader", note, result)
    return result


def _note(row: Keep, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
    made = instance if result is None else result
    value = fact(row.value, call_of(wrapped, instance, args, kwargs))
    several = isinstance(made, (list, tuple))
    for thing in cast("list[Any]", made) if several else (made,):
        if value is None:
            forget(thing)  # what was told before is so no more
            continue
        try:
            keep(thing, value)
        except TypeError:  # a name or a mapping beside what is meant
            if not several:
                raise
