# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A call before a request that is told what the request's own does not say: noted, never a span."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from otel_tts.engines.kept import forget, keep
from otel_tts.engines.table import Keep
from otel_tts.guard import contain
from otel_tts.instrumentation.calls.arguments import call_of, fact


def keeping(row: Keep, around: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Return the wrapper that remembers what `row` says about what its callable makes.

    `around` is the wrapper of a seam that names the same callable.
    """

    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = wrapped(*args, **kwargs) if around is None else around(wrapped, instance, args, kwargs)
        contain("reader", _note, row, wrapped, instance, args, kwargs, result)
        return result

    return wrapper


def _note(row: Keep, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
    made = instance if result is None else result
    value = fact(row.value, call_of(wrapped, instance, args, kwargs))
    for thing in cast("list[Any]", made) if isinstance(made, list) else (made,):
        if value is None:
            forget(thing)  # what was told before is so no more
        else:
            keep(thing, value)
